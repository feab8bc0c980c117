"""Metrics by step, a function of the journal alone, so that following a run and syncing it later give the same."""

from __future__ import annotations

import math
from dataclasses import dataclass

from raydgp.records.summary import RunSummary, Tally, TaskSummary

_EVERY = 100  # first steps that a curve has all of
_RATIO = math.log(1.025)  # of a step to the next one after them, as a logarithm


@dataclass(frozen=True)
class Point:
    """Metrics after a number of configurations were measured, at the time of the last record.

    A name is `group/figure`, by which MLflow makes sections: `best`, `network`, `trials`, `time`.
    """

    step: int
    time_ms: int
    metrics: dict[str, float]


def on_curve(step: int) -> bool:
    """Whether a curve has a point at this step: all of the first ones, then ever fewer; 500 of them reach to 10^6."""
    return step <= _EVERY or int(math.log(step) / _RATIO) > int(math.log(step - 1) / _RATIO)


def task_point(task: TaskSummary, peak_gflops: float | None) -> Point:
    """Where a task stands."""
    metrics = {"best/latency_us": 1e6 * task.latency_s}
    if task.best:
        metrics["best/gflops"] = task.gflops
        metrics |= {"best/share_of_peak": task.gflops / peak_gflops} if peak_gflops else {}
    return _point(task, metrics)


def run_point(summary: RunSummary) -> Point:
    """Where the run stands: what the layers take that have a result, and how many have none and are not in the sum."""
    network = summary.network()
    metrics = {"network/without_result": len(network.unmeasured), "network/speedup": network.speedup}
    metrics |= {"network/latency_us": 1e6 * network.best_s} if network.best_s else {}
    return _point(summary, metrics)


def _point(tally: Tally, metrics: dict[str, float]) -> Point:
    """What is not finite is left out, for MLflow would keep it as a number."""
    values = {"trials/measured": tally.measured, "trials/failed": tally.failed, **metrics}
    values |= {f"time/{name}": seconds for name, seconds in tally.phases_s.items()}
    finite = {name: float(value) for name, value in values.items() if math.isfinite(value)}
    return Point(tally.measured, tally.last_ms, finite)
