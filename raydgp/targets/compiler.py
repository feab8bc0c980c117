"""Targets in TVM's own type, and the compiler that makes code for them."""

from __future__ import annotations

import platform

import tvm
from tvm.target import codegen

import raydgp
from raydgp.targets.target import Target


def to_tvm(target: Target) -> tvm.target.Target:
    """The same target in TVM's own type, with the target of its host's code where that is another one."""
    kind = target.behaviour
    return tvm.target.Target(kind.tvm(target), host=kind.tvm_host())


def versions() -> dict[str, str]:
    """What shapes a kernel besides its configuration."""
    return {
        "raydgp": raydgp.__version__,
        "tvm": tvm.__version__,
        "llvm": str(codegen.llvm_version_major()),
        "python": platform.python_version(),
    }
