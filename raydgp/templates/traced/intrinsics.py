"""TVM's modules of tensor intrinsics, only those of the target: all of them take half a minute to import."""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def x86_intrinsics(kind: str) -> Iterator[None]:
    """Spares a tuner for this CPU the tensor intrinsics of all other targets, which take half a minute to import."""
    if kind != "llvm" or platform.machine() != "x86_64":
        yield
        return
    with only_intrinsics("x86"):
        yield


@contextmanager
def only_intrinsics(*modules: str) -> Iterator[None]:
    """Imports these of TVM's modules of tensor intrinsics; what asks for all of them meanwhile goes without."""
    name = "tvm.s_tir.tensor_intrin"
    if name in sys.modules:
        yield
        return
    spec = importlib.util.find_spec(name)
    package = ModuleType(name)
    package.__path__ = list((spec and spec.submodule_search_locations) or [])
    sys.modules[name] = package  # in place of the package itself, which imports every module of its own
    try:
        for module in modules:
            importlib.import_module(f"{name}.{module}")
        yield
    finally:
        del sys.modules[name]
