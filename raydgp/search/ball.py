"""Neighbourhoods too large to enumerate: counted exactly, and sampled uniformly, by the squares of their radii."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raydgp.space import ConfigSpace, Indices


class Ball:
    """Configurations within a Euclidean distance between option numbers, as `ConfigSpace.neighbours`.

    A conv2d of 8 knobs has 4 700 neighbours within 3 and 28 000 within 4.5, but every further knob multiplies that.

    Attributes:
        size: number of configurations, the centre included.
    """

    def __init__(self, space: ConfigSpace, centre: int, radius: float) -> None:
        self.space, self.index, self.radius = space, centre, radius
        self._centre = space.digits([centre])[0]
        limit = int(radius**2)
        self._steps = [
            np.arange(max(-int(radius), -c), min(int(radius), size - 1 - c) + 1)
            for c, size in zip(self._centre, space.radix, strict=True)
        ]
        # ways[k][s]: offsets of the first k knobs whose squares sum to s; floats, for they may pass 2^63
        self._ways = [np.eye(1, limit + 1)[0]]
        for steps in self._steps:
            before = self._ways[-1]
            self._ways.append(np.sum([_shifted(before, int(step) ** 2) for step in steps], axis=0))
        self.size = int(self._ways[-1].sum())

    def members(self, limit: int, rng: np.random.Generator) -> Indices:
        """All neighbours without the centre if they are at most `limit`, else as many uniform draws, distinct."""
        if self.size <= limit:
            return self.space.neighbours(self.index, self.radius)
        squares = _choose(np.broadcast_to(self._ways[-1], (limit, len(self._ways[-1]))), rng)
        digits = np.empty((limit, len(self._steps)), np.int64)
        for k in reversed(range(len(self._steps))):
            steps = self._steps[k]
            rest = squares[:, None] - steps**2
            ways = np.where(rest >= 0, self._ways[k][np.maximum(rest, 0)], 0.0)
            step = steps[_choose(ways, rng)]
            digits[:, k] = self._centre[k] + step
            squares = squares - step**2
        found = np.unique(self.space.from_digits(digits))
        return found[found != self.index]


def _shifted(ways: NDArray[np.float64], by: int) -> NDArray[np.float64]:
    return np.concatenate([np.zeros(min(by, len(ways))), ways[: max(len(ways) - by, 0)]])


def _choose(weights: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """A column for each row of float64[n, m], with probability in proportion to its weight: int64[n]."""
    total = np.cumsum(weights, axis=1)
    luck = rng.random((len(weights), 1)) * total[:, -1:]
    return (total <= luck).sum(axis=1)
