"""How likely it is that a search has found what is within 1 % of the best of its space, by how the search went.

A logistic regression on three figures: how many configurations were measured, how many of them are within 2 % of the
best, and how large the space is. It was fitted to searches of every second recorded space of znver4 and of eight that
others recorded on GPUs, of 3 000 to 80 000 configurations, and `python -m tests.benchmarks.confidence FOLDER` says how
it fares on the rest. It errs to the unsure side. Of a larger space it says less, as more is left there that no search
has seen; beyond those it was fitted to, the size says nothing more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from raydgp.records.summary import RunSummary

WITHIN = 0.99  # of the best of a space
_NEAR = 1.02  # over the best, of what counts as near
LEAST = 8  # measurements, before which nothing is said
_LARGEST = 80_000  # configurations of the largest space that it was fitted to; a larger one counts as that
WEIGHTS = (-5.366, 0.842, 0.973, -0.354)  # of 1, and of the logarithms of the three figures, the size in thousands


def figures(best_s: Sequence[float], latencies_s: Iterable[float], space_size: int) -> NDArray[np.float64]:
    """What the confidence is read off: float64[4], the first is 1.

    Args:
        best_s: the best so far after each measurement, infinite while there is none, and finite in the end.
        latencies_s: of all that ran.
        space_size: configurations, those that are statically invalid among them.
    """
    near = sum(latency_s <= _NEAR * best_s[-1] for latency_s in latencies_s)
    return np.array([1.0, math.log(len(best_s)), math.log(max(near, 1)), math.log(min(space_size, _LARGEST) / 1000)])


def confidence(best_s: Sequence[float], latencies_s: Iterable[float], space_size: int) -> float:
    """The chance that the best of a search is within 1 % of the best of its space; NaN with fewer than 8 measurements.

    Args:
        best_s, latencies_s, space_size: as of `figures`.
    """
    if len(best_s) < LEAST or not math.isfinite(best_s[-1]):
        return math.nan
    return float(1 / (1 + np.exp(-figures(best_s, latencies_s, space_size) @ np.array(WEIGHTS))))


def expected_line(summary: RunSummary) -> str:
    """How many layers are expected to have what is within 1 % of the best, and where most is open; empty if unknown."""
    said = [(task.calls * task.latency_s, task) for task in summary.chosen if not math.isnan(task.confidence)]
    if not said:
        return ""
    expected = sum(task.confidence for _, task in said)
    _, doubtful = max(said, key=lambda each: each[0] * (1 - each[1].confidence))
    return (
        f"By how the searches went, {expected:.1f} of {len(said)} layers are expected to be within 1 % of the best of "
        f"their spaces; most is open at {doubtful.name} ({doubtful.confidence:.0%})."
    )
