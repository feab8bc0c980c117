"""What a search needs from a model of performance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Loss = Literal["rank", "reg"]


class Surrogate(Protocol):
    """Learns from measured configurations and scores others; higher is better."""

    def fit(self, features: NDArray[np.float32], y: NDArray[np.float64]) -> None:
        """Learns anew from float32[n, d] and float64[n], n >= 1; y is 0 where a configuration failed."""

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """float32[n, d] -> float64[n]; only the order and differences mean something, not the unit."""
        ...


@dataclass(frozen=True)
class CostModelSettings:
    """What a strategy tells its cost model, which takes of it what applies.

    Attributes:
        loss: `rank`, the order matters, or `reg`, the values do.
        rounds: steps of a fit at most, such as trees.
        recall_at: so many of the best matter to the search.
        threads: to compute with.
        seed: of everything random; the same seed and data give the same model.
    """

    loss: Loss = "rank"
    rounds: int = 8000
    recall_at: int = 64
    threads: int = 1
    seed: int = 0
