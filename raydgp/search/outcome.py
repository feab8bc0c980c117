"""What a search is told of one measurement, and the one place that says what counts as having run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from raydgp.records import Measurement


def ran(gflops: ArrayLike, valid: ArrayLike) -> NDArray[np.bool_]:
    """Which of float64[n], bool[n] are outcomes of a kernel that ran, valid and a finite positive rate: bool[n]."""
    rate = np.asarray(gflops, np.float64)
    return np.asarray(np.asarray(valid, bool) & np.isfinite(rate) & (rate > 0))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one measurement tells a search.

    Attributes:
        index: the configuration.
        gflops: 0 where it failed.
        samples: GFLOPS of the single repeats, where they are known.
    """

    index: int
    gflops: float = 0.0
    samples: tuple[float, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether it ran."""
        return self.gflops > 0

    @classmethod
    def of(cls, index: int, gflops: Any, valid: Any = True, samples: Sequence[float] = ()) -> Outcome:
        """The outcome that someone reports; a failure where it makes no sense."""
        if not isinstance(gflops, int | float | np.number) or not ran(gflops, valid):
            return cls(index)
        return cls(index, float(gflops), tuple(float(x) for x in samples))

    @classmethod
    def measured(cls, measurement: Measurement, flops: int) -> Outcome:
        """The outcome of a measurement of a workload with so many floating-point operations."""
        if not measurement.ok:
            return cls(measurement.index)
        samples = tuple(flops / time_s / 1e9 for time_s in measurement.times_s)
        return cls(measurement.index, measurement.gflops(flops), samples)
