"""What a kernel's output must be."""

from __future__ import annotations

import math

import numpy as np

from raydgp.bundle.runner.launcher import Array


class Expected:
    """NumPy's answer at some positions of the flat logical output, as a bundle has it.

    Args:
        shape: of the logical output.
        content: positions in int64, then values in float32, little endian.
    """

    def __init__(self, shape: tuple[int, ...], content: bytes) -> None:
        self.shape = shape
        count = len(content) // 12
        self._positions = np.frombuffer(content, "<i8", count)
        self._values = np.frombuffer(content, "<f4", count, 8 * count)
        self._scale = float(np.abs(self._values).max())

    def whole(self) -> Array | None:
        """The answer, where all positions are there."""
        size = math.prod(self.shape)
        if len(self._positions) != size or not np.array_equal(self._positions, np.arange(size)):
            return None
        return self._values.astype(np.float32).reshape(self.shape)

    def fault(self, output: Array, tolerance: float) -> str:
        """What is wrong with an output, in one line; empty when nothing is that can be seen.

        Args:
            tolerance: largest error, relative to the largest magnitude expected.
        """
        if output.shape != self.shape:
            return f"output of shape {output.shape} where {self.shape} is expected"
        if not np.isfinite(output).all():
            return _unfinished(output)
        error = float(np.abs(output.ravel()[self._positions] - self._values).max())
        return excess(error, self._scale, tolerance)


class Reference:
    """The whole right output, in its logical layout."""

    def __init__(self, whole: Array) -> None:
        self.whole = whole
        self._scale = float(np.abs(whole).max())
        self._error = np.empty_like(whole)

    def fault(self, output: Array, tolerance: float) -> str:
        """As `Expected.fault`, of all elements. NaN is an infinite error."""
        if output.shape != self.whole.shape:
            return f"output of shape {output.shape} where {self.whole.shape} is expected"
        np.subtract(output, self.whole, out=self._error)
        error = max(float(self._error.max()), -float(self._error.min()))  # of NaN both are NaN
        return "" if error <= tolerance * self._scale else _unfinished(output) or excess(error, self._scale, tolerance)


def _unfinished(output: Array) -> str:
    missing = np.count_nonzero(~np.isfinite(output))
    return f"{missing} of {output.size} output elements are NaN or infinite" if missing else ""


def excess(error: float, scale: float, tolerance: float) -> str:
    """How an error is above the tolerance, which is relative to a scale; empty where it is not."""
    if error <= tolerance * scale:
        return ""
    return f"relative error {error / scale if scale else math.inf:.2g} is above the tolerance {tolerance:g}"
