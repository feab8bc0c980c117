"""What the register rule of the GPU templates refuses, for a measurement of the rule itself."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np

from raydgp.errors import InputError
from raydgp.space import ConfigSpace
from raydgp.targets import Target
from raydgp.templates.registry import entry_for

_ENOUGH = 1 << 40  # registers that hold the sums of every thread
_DRAWS = 16  # of configurations that could be launched, for each that is wanted: a third of them is refused
_FARTHEST = 6  # squared distance of a neighbour


def refused_beside_valid(
    space: ConfigSpace, target: Target, algorithm: str, count: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Random configurations that nothing but the rule refuses, each with the valid one nearest to it.

    Nearest by option numbers, see `ConfigSpace.neighbours`; of several the one of the lowest index.

    Args:
        count: so many pairs at most; fewer where the space has not so many.

    Raises:
        InputError: the space has no such rule.
    """
    if not count:
        return []
    entry = entry_for(target.kind, type(space.workload), algorithm)
    if target.limits is None or entry is None:
        raise InputError(f"refused={count}: only spaces of a GPU have the register rule; leave it out")
    limits = replace(target.limits, registers=_ENOUGH, registers_thread=_ENOUGH)
    without = entry.space(space.workload, replace(target, limits=limits))
    launchable = without.sample_valid(_DRAWS * count, rng)
    pairs: list[tuple[int, int]] = []
    for index in launchable[~space.valid(launchable)].tolist():
        if len(pairs) < count and (beside := _nearest_valid(space, index)) is not None:
            pairs.append((index, beside))
    return pairs


def _nearest_valid(space: ConfigSpace, index: int) -> int | None:
    for squared in range(1, _FARTHEST + 1):
        near = space.neighbours(index, sqrt(squared) + 1e-9)
        if (valid := near[space.valid(near)]).size:
            return int(valid[0])
    return None
