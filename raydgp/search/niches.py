"""Coordinate descent from several good configurations that differ from each other: a space may have many basins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from raydgp.space import ConfigSpace, Indices

_APART = 3  # knobs in which two centres differ at least
_LOOKED_AT = 64  # of the best measured, for centres


def one_knob_away(space: ConfigSpace, index: int) -> Indices:
    """All configurations that differ from one in exactly one knob, valid or not: int64[n]."""
    digits = space.digits([index])[0]
    knob = np.repeat(np.arange(len(space.radix)), space.radix)
    option = np.concatenate([np.arange(size) for size in space.radix])
    steps = np.repeat(digits[None], len(knob), axis=0)
    steps[np.arange(len(knob)), knob] = option
    return space.from_digits(steps[option != digits[knob]])


def neighbourhoods(
    space: ConfigSpace,
    told: Indices,
    gflops: NDArray[np.float64],
    fresh: Callable[[Indices], NDArray[np.bool_]],
    n: int,
) -> list[Indices]:
    """What may still be asked one knob away from each of up to n centres.

    The centres are the best that ran, each in at least three knobs different from the better ones among them. One whose
    neighbours have all been asked is none any more: the search goes on in the next best basin.

    Args:
        told, gflops: int64[t], float64[t], 0 where it did not run.
        fresh: which of int64[k] may be asked: bool[k].
    """
    ranked = np.argsort(-gflops, kind="stable")[:_LOOKED_AT]
    ranked = ranked[gflops[ranked] > 0]
    digits = space.digits(told[ranked])
    least = min(_APART, int((space.radix > 1).sum()))
    centres: list[int] = []
    found: list[Indices] = []
    for row, index in enumerate(told[ranked].tolist()):
        if len(found) == n:
            break
        if ((digits[centres] != digits[row]).sum(axis=1) < least).any():
            continue
        around = one_knob_away(space, index)
        around = around[fresh(around)]
        if len(around):
            centres.append(row)
            found.append(around)
    return found
