"""How well a search does over time against random search, as the autotuning community scores it.

Willemsen, Schoonhoven, Filipovič, Tørring, van Nieuwpoort and van Werkhoven, "A methodology for comparing optimization
algorithms for auto-tuning" (Future Generation Computer Systems, 2024), with the settings of their software: latency is
minimised, and the budget is what random search takes from 1 to 95 % of the way from the median to the optimum. Where
that reads the latency at the rank that random search is expected to reach, this is the expectation of the latency, so
that random search scores 0 in small spaces, too.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from raydgp.records.recorded import RecordedSpace

_FROM, _TO = 0.01, 0.95  # of the way from the median to the optimum
_POINTS = 500  # in time


class RandomSearch:
    """What random search is expected to have found by when, by arithmetic.

    Args:
        recorded: where it searches. Until something ran that is faster, a search holds the median of all that run.

    Attributes:
        times_s: float64[500], evenly from the beginning to the end of the budget.
        latencies_s: float64[500], of its best at those times.
    """

    def __init__(self, recorded: RecordedSpace) -> None:
        latencies_s, takes_s = recorded.median_s, recorded.build_s + recorded.run_s
        self._median_s = float(np.median(latencies_s[np.isfinite(latencies_s)]))
        self._held_s = np.sort(np.minimum(latencies_s, self._median_s))
        start, end = (self._draws_to(share) * float(np.median(takes_s)) for share in (_FROM, _TO))
        self.times_s = np.linspace(start, end, _POINTS)
        mean_s = float(takes_s.mean())
        draws = np.maximum(self.times_s // mean_s, 1).astype(np.int64) if mean_s else np.ones(_POINTS, np.int64)
        counts, places = np.unique(np.minimum(draws, len(self._held_s)), return_inverse=True)
        self.latencies_s: NDArray[np.float64] = np.array([self._expected_s(int(count)) for count in counts])[places]

    def score(self, seconds: NDArray[np.float64], latencies_s: NDArray[np.float64]) -> float:
        """The mean over time of how much of what random search had left a search has gained.

        1 is the optimum at once, 0 as good as random search, and below that worse.

        Args:
            seconds: float64[t], ascending, when measurements ended.
            latencies_s: float64[t], the best until then; infinite while none has run.

        Returns:
            NaN where random search has the optimum when the budget begins, so that nothing is left to gain.
        """
        held_s = np.minimum(np.concatenate([[np.inf], latencies_s]), self._median_s)
        found_s = held_s[np.searchsorted(seconds, self.times_s, side="right")]
        left_s = self.latencies_s - self._held_s[0]
        gained = (self.latencies_s - found_s)[left_s > 0] / left_s[left_s > 0]
        return float(gained.mean()) if len(gained) else math.nan

    def _expected_s(self, draws: int) -> float:
        """The mean of the least of so many draws without replacement."""
        size = len(self._held_s)
        left = np.arange(size - 1, draws - 2, -1)  # slower ones than the first, the second, ...: all others are of them
        chances = np.exp(_log_choose(left, draws - 1) - _log_choose(size, draws))
        return float(chances @ self._held_s[: len(left)])

    def _draws_to(self, share: float) -> int:
        """Random draws until so much of the way from the median to the optimum is expected to be gone."""
        wanted_s, size = self._held_s[0] + (self._median_s - self._held_s[0]) * (1 - share), len(self._held_s)
        better = int((self._held_s <= wanted_s).sum())
        return math.ceil((size - better) / (better + 1))  # the rank of the best is expected at (size + 1) / (draws + 1)


def _log_choose(n: NDArray[np.int64] | int, k: int) -> NDArray[np.float64]:
    return np.asarray(gammaln(np.asarray(n) + 1.0) - gammaln(k + 1.0) - gammaln(np.asarray(n) - k + 1.0))
