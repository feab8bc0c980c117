"""The valid configuration that is nearest to one that is not: where a rule of thumb breaks a limit, the default."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from raydgp.space.knobs import Knob

_MOST_CHANGED = 3  # knobs
_MOST_TRIED = 1 << 13  # combinations of the options of some knobs


def nearest_valid(
    knobs: Sequence[Knob], digits: NDArray[np.int64], valid: Callable[[NDArray[np.int64]], NDArray[np.bool_]]
) -> NDArray[np.int64]:
    """The one that changes the fewest knobs, and of those, the factors of the least ratios.

    Args:
        digits: int64[knobs], the option of each.
        valid: int64[n, knobs] -> bool[n].

    Returns:
        int64[knobs]; `digits` themselves where none is found.
    """
    apart = [_ratios(knob, int(digit)) for knob, digit in zip(knobs, digits, strict=True)]
    movable = [k for k, knob in enumerate(knobs) if knob.size > 1]
    for count in range(1, _MOST_CHANGED + 1):
        best, least = digits, np.inf
        for chosen in combinations(movable, count):
            sizes = [knobs[k].size for k in chosen]
            if np.prod(sizes, dtype=float) > _MOST_TRIED:
                continue
            options = np.indices(sizes).reshape(count, -1)
            tried = np.tile(digits, (options.shape[1], 1))
            tried[:, chosen] = options.T
            distance = sum(apart[k][option] for k, option in zip(chosen, options, strict=True))
            distance = np.where(valid(tried), distance, np.inf)
            nearest = int(np.argmin(distance))
            if distance[nearest] < least:
                best, least = tried[nearest], distance[nearest]
        if least < np.inf:
            return best
    return digits


def _ratios(knob: Knob, digit: int) -> NDArray[np.float64]:
    """How far each option is from one, in powers of two summed over factors: float64[size].

    Of a knob with negative numbers, in options.
    """
    if knob.values.min() < 0:
        return np.abs(np.arange(knob.size) - digit).astype(np.float64)
    logarithms = np.log2(knob.values + 1.0)
    return np.asarray(np.abs(logarithms - logarithms[digit]).sum(axis=1))
