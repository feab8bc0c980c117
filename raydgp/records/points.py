"""Metrics by step, a function of the journal alone, so that following a run and syncing it later give the same."""

from __future__ import annotations

import math
from dataclasses import dataclass

from raydgp.records.measurement import Measurement
from raydgp.records.summary import RunSummary, Tally, TaskSummary


@dataclass(frozen=True)
class Point:
    """Metrics after a number of configurations were measured, at the time of the record."""

    step: int
    time_ms: int
    metrics: dict[str, float]


def task_point(task: TaskSummary, measured: Measurement, peak_gflops: float | None) -> Point:
    """Where a task stands when this measurement has just been added to it."""
    metrics = {"best_latency_us": 1e6 * task.latency_s}
    if task.best:
        metrics["best_gflops"] = task.gflops
        metrics |= {"share_of_peak": task.gflops / peak_gflops} if peak_gflops else {}
    return _point(task, measured, metrics)


def run_point(summary: RunSummary, measured: Measurement) -> Point:
    """Where the run stands when this measurement has just been added to it; a latency once every layer has one."""
    network_s = sum(task.calls * task.latency_s for task in summary.chosen)
    return _point(summary, measured, {"network_latency_us": 1e6 * network_s})


def _point(tally: Tally, measured: Measurement, metrics: dict[str, float]) -> Point:
    """What is not finite is left out, for MLflow would keep it as a number."""
    values = {"measured": tally.measured, "failed": tally.failed, **tally.phases_s, **metrics}
    finite = {name: float(value) for name, value in values.items() if math.isfinite(value)}
    return Point(tally.measured, measured.time_ms, finite)
