"""`python tests/benchmarks/hopeless.py [RECORDED ...]`: what stopping hopeless kernels and builds saves and loses.

Replays recorded spaces in random order, 256 configurations, 20 times each. A kernel is stopped where its first recorded
timing is so many times the best so far, and saves two timings of 20 ms; a build where it takes so many times the median
of those before, from 16 on. Lost are searches' best so far (leaders) and their best of all (winners).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from raydgp.records import Status
from raydgp.records.recorded import RecordedSpace, recorded_files
from raydgp.run.builder import Built
from raydgp.run.hopeless import SLOWER, BuildTimes

_ORDERS, _TRIALS, _TIMING_S, _NO_LIMIT_S = 20, 256, 0.02, 1e9


def replay(recorded: RecordedSpace, order: np.ndarray) -> dict[str, float]:
    """Counts and seconds of one order."""
    medians_s, times, best_s = recorded.median_s, BuildTimes(), np.inf
    found = dict.fromkeys(("all_s", "timings_saved_s", "builds_saved_s", "stopped", "ended", "leaders", "winners"), 0.0)
    winner_s = medians_s[order].min()

    def lose(row: int) -> None:
        found["leaders"] += medians_s[row] < best_s
        found["winners"] += medians_s[row] == winner_s

    for row in order:
        build_s, run_s = float(recorded.build_s[row]), float(recorded.run_s[row])
        limit_s = times.limit_s(recorded.space.hash, _NO_LIMIT_S)
        found["all_s"] += build_s + run_s
        if build_s > limit_s:
            found["ended"] += 1
            found["builds_saved_s"] += build_s - limit_s + run_s
            lose(row)
            continue
        times.add(recorded.space.hash, Built(status=Status.OK, build_s=build_s))
        if recorded.times_s[row, 0] > SLOWER * best_s:
            found["stopped"] += 1
            found["timings_saved_s"] += 2 * _TIMING_S
            lose(row)
        best_s = min(best_s, medians_s[row])
    return found


def main(paths: list[Path]) -> None:
    print(f"{'space':32} {'stopped':>8} {'saves':>8} {'ended':>8} {'saves':>8} {'leaders':>8} {'winners':>8}")
    for file in recorded_files(paths):
        recorded = RecordedSpace.load(file)
        orders = [np.random.default_rng(seed).permutation(len(recorded.indices))[:_TRIALS] for seed in range(_ORDERS)]
        runs = [replay(recorded, order) for order in orders]
        sums = {key: sum(run[key] for run in runs) for key in runs[0]}
        count = sum(map(len, orders))
        shares = (
            sums["stopped"] / count,
            sums["timings_saved_s"] / sums["all_s"],
            sums["ended"] / count,
            sums["builds_saved_s"] / sums["all_s"],
        )
        figures = " ".join(f"{share:8.1%}" for share in shares)
        print(f"{recorded.name:32} {figures} {sums['leaders']:8.0f} {sums['winners']:8.0f}")


if __name__ == "__main__":
    main([Path(given) for given in sys.argv[1:]] or [Path("znver4")])
