"""What LLVM knows of processors, as TVM tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tvm
from tvm.target import codegen

from raydgp.targets.llvm.architectures import AVX, AVX2, AVX512, BASELINE, NEON, Vectors

_TELLING = (("avx512f", AVX512), ("avx2", AVX2), ("avx", AVX), ("neon", NEON))  # the first that it has


def system_cpu() -> str:
    """LLVM's name of this machine's processor."""
    return str(codegen.llvm_get_system_cpu())


def knows(cpu: str, triple: str) -> bool:
    """Whether LLVM makes code for a processor of this name."""
    return bool(codegen.llvm_is_valid_cpu(cpu, triple))


def features(attributes: Mapping[str, Any]) -> frozenset[str]:
    """LLVM's names of what a target's instruction set has."""
    target = tvm.target.Target({"kind": "llvm", **_listed(attributes)})
    return frozenset(map(str, codegen.llvm_get_cpu_features(target)))


def vector_features(attributes: Mapping[str, Any]) -> frozenset[str]:
    """Those of `features` that code of floating-point numbers may use; most others say how fast something is."""
    return frozenset(name for name in features(attributes) if name.startswith(("avx", "fma", "amx", "f16c")))


def vectors(attributes: Mapping[str, Any]) -> Vectors:
    """The vector registers of a target, by its features; the baseline's where LLVM does not know it.

    LLVM's own width of vectors does not tell them: TVM gives 512 bits for every x86 processor.
    """
    try:
        has = features(attributes)
    except (RuntimeError, TypeError, ValueError):
        return BASELINE
    return next((vectors for feature, vectors in _TELLING if feature in has), BASELINE)


def _listed(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in attributes.items()}
