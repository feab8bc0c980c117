"""What is not worth more time: kernels much slower than the best, builds much longer than those of their space.

On the recorded spaces of znver4, in random order, the first rule stopped a quarter of the kernels after one timing,
which saved 3 % of the time, and the second ended 0.2 % of the builds, which saved 1 %. No search of 220 lost its
winner or a best so far (`python tests/benchmarks/hopeless.py`).
"""

from __future__ import annotations

from collections import defaultdict
from statistics import median

from raydgp.records import Status
from raydgp.run.builder import Built

SLOWER = 2.0  # times as slow as the best of its runner, at the first timing: no further ones
_LONGER = 5.0  # times as long as a build of its space usually takes: it is ended
_LEAST_S = 3.0  # that every build may take: on a busy machine a short one may wait for longer than it takes
_SIBLINGS = 16  # builds, before what is usual is known


class BuildTimes:
    """How long builds of a space usually take, from those that have succeeded."""

    def __init__(self) -> None:
        self._times_s: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, space: str, built: Built) -> None:
        """Learns a build of the space with this hash."""
        if built.status is Status.OK:
            self._times_s[space].append(built.build_s)

    def limit_s(self, space: str, most_s: float) -> float:
        """Seconds that the next one may take."""
        times_s = self._times_s[space]
        if len(times_s) < _SIBLINGS:
            return most_s
        return min(most_s, max(_LEAST_S, _LONGER * median(times_s)))
