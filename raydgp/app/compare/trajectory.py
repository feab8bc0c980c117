"""One search on a recorded space: how good its best was after each measurement, and what that had cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raydgp import search
from raydgp.measure.driving import drive
from raydgp.measure.replay import ReplayMeasurer
from raydgp.records.recorded import RecordedSpace


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A search as it went.

    Attributes:
        quality: float64[t], best GFLOPS so far over the best of the space, after each measurement.
        seconds: float64[t], recorded build and run time plus the strategy's own time, up to each measurement.
    """

    quality: NDArray[np.float64]
    seconds: NDArray[np.float64]

    def measurements_to(self, share: float) -> float:
        """Measurements until the best is at least `share` of the space's best; infinite if it never is."""
        reached = np.flatnonzero(self.quality >= share)
        return float(reached[0] + 1) if len(reached) else np.inf

    def seconds_to(self, share: float) -> float:
        """Seconds until then."""
        reached = np.flatnonzero(self.quality >= share)
        return float(self.seconds[reached[0]]) if len(reached) else np.inf


def follow(
    recorded: RecordedSpace, strategy: str, options: Mapping[str, Any], seed: int, trials: int, batch: int
) -> Trajectory:
    """Searches a recorded space until its best is found, the budget is spent, or the strategy ends."""
    space, measurer = recorded.space, ReplayMeasurer(recorded)
    loop = search.Search(search.create(strategy, space, seed, **options), trials, batch)
    best, top = 0.0, float(recorded.gflops.max())
    quality: list[float] = []
    seconds: list[float] = []
    for part in drive(loop, measurer):
        for measured in part.measurements:
            best = max(best, measured.gflops(space.workload.flops))
            quality.append(best / top)
            seconds.append(part.thinking_s + measurer.charged_s)
        if best >= top:
            break
    return Trajectory(np.array(quality), np.array(seconds))
