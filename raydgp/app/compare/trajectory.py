"""One search on a recorded space: how good its best was after each measurement, and what that had cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raydgp import search
from raydgp.measure.replay import ReplayMeasurer
from raydgp.measure.simulated import simulate
from raydgp.records import Measurement
from raydgp.records.recorded import RecordedSpace


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A search as it went.

    Attributes:
        quality: float64[t], best GFLOPS so far over the best of the space, after each measurement.
        shares: float64[t], GFLOPS of each measurement over the best of the space; 0 where it did not run.
        seconds: float64[t], by the simulated clock plus the strategy's own time, up to each measurement.
        build_s, run_s: what building and running all of it had taken when it was recorded, one at a time.
        thinking_s: the strategy's own time.
        failed: measurements that did not run.
    """

    quality: NDArray[np.float64]
    shares: NDArray[np.float64]
    seconds: NDArray[np.float64]
    build_s: float
    run_s: float
    thinking_s: float
    failed: int

    def measurements_to(self, share: float) -> float:
        """Measurements until the best is at least `share` of the space's best; infinite if it never is."""
        reached = np.flatnonzero(self.quality >= share)
        return float(reached[0] + 1) if len(reached) else np.inf

    def seconds_to(self, share: float) -> float:
        """Seconds until then."""
        reached = np.flatnonzero(self.quality >= share)
        return float(self.seconds[reached[0]]) if len(reached) else np.inf


def follow(
    recorded: RecordedSpace,
    strategy: str,
    options: Mapping[str, Any],
    seed: int,
    trials: int,
    batch: int,
    runners: int = 1,
    patience: int | None = None,
) -> Trajectory:
    """Searches a recorded space until the budget is spent or the strategy ends.

    Args:
        runners: that measure at a time, see `raydgp.measure.simulated`.
        patience: measurements without anything better after which it ends, too. Without it the search ends at the
            best of the space, which in real life nobody could tell it.
    """
    space, top = recorded.space, float(recorded.gflops.max())
    strategy_ = search.create(strategy, space, seed, **options)
    loop = search.Search(strategy_, trials, batch, in_order=runners == 1)
    best, since, thinking_s = 0.0, 0, 0.0
    quality: list[float] = []
    seconds: list[float] = []
    measurements: list[Measurement] = []
    for part in simulate(loop, ReplayMeasurer(recorded), runners):
        measured, thinking_s = part.measurement, part.thinking_s
        gflops = measured.gflops(space.workload.flops)
        since = 0 if gflops > best else since + 1
        best = max(best, gflops)
        measurements.append(measured)
        quality.append(best / top)
        seconds.append(part.at_s + thinking_s)
        if best >= top if patience is None else since >= patience:
            break
    return Trajectory(
        np.array(quality),
        np.array([measured.gflops(space.workload.flops) / top for measured in measurements]),
        np.array(seconds),
        build_s=sum(measured.phases.build_s for measured in measurements),
        run_s=sum(measured.phases.run_s for measured in measurements),
        thinking_s=thinking_s,
        failed=sum(not measured.ok for measured in measurements),
    )
