"""What a search needs from a model of performance."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Surrogate(Protocol):
    """Learns from measured configurations and scores others; higher is better."""

    def fit(self, features: NDArray[np.float32], y: NDArray[np.float64]) -> None:
        """Learns anew from float32[n, d] and float64[n], n >= 1; y is 0 where a configuration failed."""

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """float32[n, d] -> float64[n]; only the order and differences mean something, not the unit."""
        ...
