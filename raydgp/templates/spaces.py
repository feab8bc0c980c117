"""Configuration spaces of schedule templates, by target. numpy only."""

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

from raydgp.errors import InputError
from raydgp.space import ConfigSpace
from raydgp.templates.cuda import spaces as cuda
from raydgp.templates.cuda import tensor_core_space as cuda_tensor_core
from raydgp.templates.llvm import spaces as llvm
from raydgp.templates.traced import space as sketched
from raydgp.workloads import Workload
from raydgp.workloads.traced import TracedKernel

__all__ = ["config_space", "config_spaces"]


def _cuda_kernel_space(workload: TracedKernel, limits: cuda.Limits) -> ConfigSpace:
    return sketched.kernel_space(workload, "cuda")


_BY_TARGET = {
    "cuda": {**cuda.SPACES, TracedKernel: _cuda_kernel_space},
    "llvm": {**llvm.SPACES, TracedKernel: sketched.kernel_space},
}
_VARIANTS = {"cuda": {**cuda.VARIANTS, **cuda_tensor_core.VARIANTS}, "llvm": llvm.VARIANTS}


def config_space(workload: Workload, target: str | Mapping[str, Any], algorithm: str = "direct") -> ConfigSpace:
    """The configuration space of a workload on a kind of target.

    Args:
        target: `cuda`, `llvm`, or a target's attributes, whose limits then say what is valid. They change neither the
            configurations nor the space's hash, but may change the default.
        algorithm: `direct`, or also a space of its own: `winograd` for a convolution, and on `cuda` `tensor_core` for a
            convolution or a dense layer, which computes with the inputs rounded to float16. Arrays stay float32 for
            the user, but the result is that of the rounded ones, so it is never taken unless it is asked for. A fused
            layer says itself which algorithm computes it.

    Raises:
        InputError: unknown target, a workload without a template there, or a GPU without tensor cores.
    """
    if algorithm == cuda_tensor_core.ALGORITHM and not isinstance(target, str):
        cuda_tensor_core.require_tensor_cores(target)
    if isinstance(target, str):
        return _config_space(workload, target, algorithm, cuda.Limits())
    return _config_space(workload, target["kind"], algorithm, cuda.Limits.of(target))


def config_spaces(workload: Workload, target: str | Mapping[str, Any]) -> list[ConfigSpace]:
    """The spaces of all algorithms that the workload can be computed by, `direct` first: where a record may be from.

    They are no choice to take the fastest of: `tensor_core`, the last one on `cuda`, rounds its inputs to float16.

    Raises:
        InputError: as of `config_space`.
    """
    spaces = [config_space(workload, target)]
    for kind, algorithm in dict.fromkeys(key for variants in _VARIANTS.values() for key in variants):
        with suppress(InputError):  # another kind of workload or target, or not of these shapes
            if isinstance(workload, kind):
                spaces.append(config_space(workload, target, algorithm))
    return spaces


@lru_cache(maxsize=256)
def _config_space(workload: Workload, target: str, algorithm: str, limits: cuda.Limits) -> ConfigSpace:
    if target not in _BY_TARGET:
        raise InputError(f"unknown target {target!r}; known are {', '.join(_BY_TARGET)}")
    if algorithm == "direct":
        build = _BY_TARGET[target].get(type(workload))
    else:
        build = _VARIANTS[target].get((type(workload), algorithm))
    if build is None:
        raise InputError(f"no schedule template for {workload.op} on {target} with algorithm {algorithm!r}")
    return build(workload, limits) if target == "cuda" else build(workload)
