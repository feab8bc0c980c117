"""Configuration spaces of schedule templates, by target. numpy only."""

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

from raydgp.errors import InputError
from raydgp.space import cuda, llvm, sketched
from raydgp.space.base import Columns, ConfigSpace, Indices
from raydgp.space.knobs import Knob, choice, split
from raydgp.workloads import Workload
from raydgp.workloads.kernel import Kernel

__all__ = ["Columns", "ConfigSpace", "Indices", "Knob", "choice", "config_space", "config_spaces", "split"]

_BY_TARGET = {"cuda": cuda.SPACES, "llvm": {**llvm.SPACES, Kernel: sketched.kernel_space}}
_VARIANTS = {"cuda": cuda.VARIANTS, "llvm": llvm.VARIANTS}


def config_space(workload: Workload, target: str | Mapping[str, Any], algorithm: str = "direct") -> ConfigSpace:
    """The configuration space of a workload on a kind of target.

    Args:
        target: `cuda`, `llvm`, or a target's attributes, whose limits then say what is valid. They change neither the
            configurations nor the space's hash, but may change the default.
        algorithm: `direct`, or for a convolution also `winograd`, which is a space of its own. A fused layer says
            itself which algorithm computes it.

    Raises:
        InputError: unknown target, or a workload without a template there.
    """
    if isinstance(target, str):
        return _config_space(workload, target, algorithm, cuda.Limits())
    return _config_space(workload, target["kind"], algorithm, cuda.Limits.of(target))


def config_spaces(workload: Workload, target: str | Mapping[str, Any]) -> list[ConfigSpace]:
    """The spaces of all algorithms that the workload can be computed by, `direct` first.

    Raises:
        InputError: as of `config_space`.
    """
    spaces = [config_space(workload, target)]
    for kind, algorithm in dict.fromkeys([*cuda.VARIANTS, *llvm.VARIANTS]):
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
