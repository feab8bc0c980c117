"""The two strategies that learn nothing."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from raydgp.search.bookkeeping import BookkeepingStrategy
from raydgp.search.options import Options
from raydgp.space import ConfigSpace, Indices


class Random(BookkeepingStrategy):
    """Uniform draws from the valid configurations."""

    name = "random"

    def propose(self, n: int) -> Indices:
        return self.draw(n)


class Grid(BookkeepingStrategy):
    """Every valid configuration in the order of the indices, first knob fastest, as AutoTVM's GridSearchTuner."""

    name = "grid"
    kept: ClassVar[tuple[str, ...]] = ("position",)

    def __init__(self, space: ConfigSpace, seed: int = 0, options: Options | None = None) -> None:
        super().__init__(space, seed, options)
        self.position = 0

    def propose(self, n: int) -> Indices:
        found, size = np.zeros(0, np.int64), 4 * n + 64
        while len(found) < n and self.position < self.space.size:
            found = np.concatenate([found, self._fresh_between(self.position, self.position + size)])
            self.position += size
            size *= 2
        if len(found) >= n:
            found = found[:n]
            self.position = int(found[-1]) + 1
        return found
