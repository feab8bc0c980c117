"""Any number that is to be low or high, as the positive number that strategies raise."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

Mode = Literal["min", "max"]

_KNEE = 1e-3  # of the scale: where the straight line ends


class Objective:
    """Turns values into scores, positive and rising with how good a value is.

    In units of the first value's magnitude, what is to be high counts as it is, and what is to be low by its
    reciprocal, as rates and seconds of a kernel do. So that any sign will do, the straight line ends near 0 and a
    hyperbola goes on: with y = value / scale, or -value / scale where it is to be low, the score is y from k = 10^-3
    on, and k^2 / (2 k - y) below, which has the same slope at k.

    Attributes:
        scale: magnitude of the first value that is not zero; None before.
    """

    def __init__(self, mode: Mode) -> None:
        self._sign = 1.0 if mode == "max" else -1.0
        self.scale: float | None = None

    def score(self, value: Any) -> float:
        """The score of a value; 0, which stands for a failure, where it is no finite number."""
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not math.isfinite(value):
            return 0.0
        if self.scale is None and value:
            self.scale = abs(float(value))
        y = self._sign * float(value) / (self.scale or 1.0)
        return y if y >= _KNEE else _KNEE**2 / (2 * _KNEE - y)
