"""Metrics by step, a function of the journal alone, so that following a run and syncing it later give the same."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, fields
from typing import Any

from raydgp.records import Measurement, Phases, Record, RunManifest, Status, TaskEntry
from raydgp.workloads import Workload, from_dict


@dataclass(frozen=True)
class Point:
    """Metrics after a number of configurations were measured, at the time of the record."""

    step: int
    time_ms: int
    metrics: dict[str, float]


class Tally:
    """Counts and cumulative phase times of the records it is given."""

    def __init__(self) -> None:
        self.measured = 0
        self.failed = 0
        self.phases_s = {field.name: 0.0 for field in fields(Phases)}
        self.last_ms = 0

    def count(self, measured: Measurement) -> None:
        self.measured += 1
        self.failed += not measured.ok
        for name in self.phases_s:
            self.phases_s[name] += getattr(measured.phases, name)
        self.last_ms = max(self.last_ms, round(1000 * measured.time_unix_s))

    def point(self, measured: Measurement, **metrics: float) -> Point:
        """The point after this measurement; what is not finite is left out, for MLflow would keep it as a number."""
        values = {"measured": self.measured, "failed": self.failed, **self.phases_s, **metrics}
        finite = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        return Point(self.measured, round(1000 * measured.time_unix_s), finite)


class Convergence(Tally):
    """One layer task searched by one strategy."""

    def __init__(self, task: TaskEntry, strategy: str) -> None:
        super().__init__()
        self.task = task
        self.strategy = strategy
        self.flops = from_dict(task.workload).flops
        self.first_ms = 0
        self.default_s = math.inf
        self.best: Record | None = None

    @property
    def best_s(self) -> float:
        """Latency of the best configuration so far; infinite when there is none."""
        return self.best.measurement.median_s if self.best else math.inf

    def add(self, record: Record) -> Point:
        measured = record.measurement
        self.first_ms = self.first_ms or round(1000 * measured.time_unix_s)
        self.count(measured)
        if measured.index == self.task.default_index:
            self.default_s = measured.median_s
        if measured.median_s < self.best_s:
            self.best = record
        if self.best is None:
            return self.point(measured)
        best_gflops = self.best.measurement.gflops(self.flops)
        return self.point(measured, best_latency_us=1e6 * self.best_s, best_gflops=best_gflops)

    def row(self, peak_gflops: float | None) -> dict[str, Any]:
        """This layer's line in the run's table; None where there is nothing to say."""
        gflops = self.best.measurement.gflops(self.flops) if self.best else None
        return {
            "layer": self.task.name,
            "strategy": self.strategy,
            "count": self.task.count,
            "default_latency_us": _finite(1e6 * self.default_s),
            "best_latency_us": _finite(1e6 * self.best_s),
            "speedup": self.default_s / self.best_s if self.best and math.isfinite(self.default_s) else None,
            "best_gflops": gflops,
            "share_of_peak": gflops / peak_gflops if gflops and peak_gflops else None,
            "measured": self.measured,
            "failed": self.failed,
            "best_index": self.best.measurement.index if self.best else None,
        }


class RunConvergence(Tally):
    """A whole run: its totals, and a `Convergence` for each task and strategy in the order of their first records.

    Of records that say the same twice (a journal merged with `cat`) the first counts. A configuration whose runner was
    lost counts as failed there, and once more when it is measured after all.
    """

    def __init__(self, manifest: RunManifest) -> None:
        super().__init__()
        self._tasks = {task.name: task for task in manifest.tasks}
        self._layers: defaultdict[Workload, list[str]] = defaultdict(list)  # the tasks that compute each
        for task in manifest.tasks:
            self._layers[from_dict(task.workload).layer].append(task.name)
        self._seen: set[tuple[str, int]] = set()
        self.parts: dict[str, Convergence] = {}

    def add(self, record: Record) -> tuple[str, Point, Point] | None:
        """Key of the part that the record belongs to, its point, and the run's; None if it is not of this run's tasks
        and spaces, or its configuration was counted before."""
        task = self._tasks.get(record.context.task)
        key = f"{record.context.task}/{record.context.strategy}"
        mark = (key, record.measurement.index)
        if task is None or task.space_hash != record.context.space_hash or mark in self._seen:
            return None
        if record.measurement.status is not Status.RUNNER_LOST:
            self._seen.add(mark)
        part = self.parts.setdefault(key, Convergence(task, record.context.strategy))
        point = part.add(record)
        self.count(record.measurement)
        return key, point, self.point(record.measurement, network_latency_us=1e6 * self.network_s)

    @property
    def network_s(self) -> float:
        """Sum of the layers' best latencies, each as often as the network calls it; infinite while one has none."""
        best_s = {
            layer: min((part.best_s for part in self.parts.values() if part.task.name in names), default=math.inf)
            for layer, names in self._layers.items()
        }
        return sum(self._tasks[names[0]].count * best_s[layer] for layer, names in self._layers.items())


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
