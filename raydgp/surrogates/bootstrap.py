"""Bootstrap ensemble of any surrogate (BTED + BAO, Algorithm 3)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from raydgp.surrogates.base import Surrogate


class Bootstrap:
    """Surrogates fitted to resamples, drawn with replacement and of the same size; their predictions are summed.

    Args:
        make: a surrogate for a seed.
        resamples: their number, the paper's Gamma.
        rng: draws the resamples and the seeds.
    """

    def __init__(self, make: Callable[[int], Surrogate], resamples: int, rng: np.random.Generator) -> None:
        self.make, self.resamples, self.rng = make, resamples, rng
        self._members: list[Surrogate] = []

    def fit(self, features: NDArray[np.float32], y: NDArray[np.float64]) -> None:
        self._members = []
        for _ in range(self.resamples):
            rows = self.rng.integers(len(y), size=len(y))
            member = self.make(int(self.rng.integers(2**31)))
            member.fit(features[rows], y[rows])
            self._members.append(member)

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.sum([member.predict(features) for member in self._members], axis=0)
