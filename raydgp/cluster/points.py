"""Configurations that the user wants measured first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raydgp.search import Strategy
from raydgp.space import Indices


class PointsFirst(Strategy):
    """Another strategy, after some given points; those that are statically invalid are left out.

    Raises:
        InputError: a point outside of the space.
    """

    def __init__(self, strategy: Strategy, points: Sequence[int]) -> None:
        self.space, self.rng, self.name = strategy.space, strategy.rng, strategy.name
        self._strategy = strategy
        points = list(dict.fromkeys(points))
        self.space.digits(points)  # refuses what is not of this space
        self._points = [p for p, valid in zip(points, self.space.valid(points), strict=True) if valid]

    def ask(self, n: int) -> Indices:
        picks, self._points = self._points[:n], self._points[n:]
        return np.array(picks, np.int64) if picks else self._strategy.ask(n)

    def tell(
        self,
        indices: Indices,
        gflops: NDArray[np.float64],
        valid: NDArray[np.bool_],
        samples: Sequence[Sequence[float]] | None = None,
    ) -> None:
        self._strategy.tell(indices, gflops, valid, samples)

    def state(self) -> dict[str, Any]:
        return {"points": self._points, "strategy": self._strategy.state()}

    def restore(self, state: dict[str, Any]) -> None:
        self._points = list(state["points"])
        self._strategy.restore(state["strategy"])
