"""TVM's modules of tensor intrinsics, only those of the target: all of them take half a minute to import."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from raydgp.targets import Target


@contextmanager
def intrinsics_of(target: Target) -> Iterator[None]:
    """Spares a tuner the tensor intrinsics of all other targets, which take half a minute to import."""
    modules = target.behaviour.intrinsics()
    if modules is None:
        yield
        return
    with only_intrinsics(*modules):
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
