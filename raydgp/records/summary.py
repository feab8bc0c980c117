"""What a run comes to, task by task, read from its records. The live table and `raydgp report` are the same code."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from raydgp.records import Measurement, Record
from raydgp.workloads import Workload


@dataclass
class TaskSummary:
    """One layer task of a run, built up record by record.

    Attributes:
        name: of the task.
        workload: what is tuned.
        count: how often the network calls it.
        untuned_s: seconds a call of the kernel that TVM makes without a schedule, where that was measured.
        default: measurement of the default configuration, None before it is measured.
        best: the fastest correct measurement so far.
        measured: configurations measured, the failed ones among them.
        failed: of those, the ones without a correct result.
        busy_s: seconds spent on proposing, building, running and learning, waiting not counted.
    """

    name: str
    workload: Workload
    count: int
    untuned_s: float | None = None
    default: Measurement | None = None
    best: Measurement | None = None
    best_knobs: dict[str, Any] = field(default_factory=dict)
    measured: int = 0
    failed: int = 0
    busy_s: float = 0.0

    def add(self, record: Record) -> None:
        """Takes in one record of this task."""
        measurement = record.measurement
        self.measured += 1
        self.failed += not measurement.ok
        phases = measurement.phases
        self.busy_s += phases.propose_s + phases.build_s + phases.run_s + phases.learn_s
        if record.trial == 0:
            self.default = measurement
        if measurement.ok and (self.best is None or measurement.median_s < self.best.median_s):
            self.best, self.best_knobs = measurement, record.knobs

    def gflops(self, measurement: Measurement | None) -> float:
        """10^9 operations a second; 0 for what was not or not correctly measured."""
        return measurement.gflops(self.workload.flops) if measurement else 0.0

    @property
    def untuned_gflops(self) -> float | None:
        """10^9 operations a second without a schedule."""
        return self.workload.flops / self.untuned_s / 1e9 if self.untuned_s else None

    @property
    def speedup(self) -> float:
        """Default latency over best latency; NaN unless both are known."""
        if self.default is None or self.best is None or not self.default.ok:
            return math.nan
        return self.default.median_s / self.best.median_s

    def to_dict(self, peak_gflops: float | None) -> dict[str, Any]:
        """Row of the final table; unknown figures are None, so that it is valid JSON."""
        best_gflops = self.gflops(self.best)
        return {
            "task": self.name,
            "count": self.count,
            "untuned_gflops": round(self.untuned_gflops, 3) if self.untuned_gflops else None,
            "default_gflops": round(self.gflops(self.default), 2),
            "best_gflops": round(best_gflops, 2),
            "best_latency_us": round(self.best.median_s * 1e6, 2) if self.best else None,
            "best_spread": round(self.best.spread, 3) if self.best else None,
            "speedup": None if math.isnan(self.speedup) else round(self.speedup, 3),
            "peak_share": round(best_gflops / peak_gflops, 3) if peak_gflops else None,
            "measured": self.measured,
            "failed": self.failed,
            "busy_s": round(self.busy_s, 1),
            "best_index": self.best.index if self.best else None,
            "best_knobs": self.best_knobs,
        }


class RunSummary:
    """The tasks of a run in order; `add` takes records of any of them, others are ignored."""

    def __init__(self, tasks: Sequence[TaskSummary]) -> None:
        self.tasks = {task.name: task for task in tasks}

    def add(self, records: Iterable[Record]) -> None:
        for record in records:
            if record.context.task in self.tasks:
                self.tasks[record.context.task].add(record)

    @property
    def layers(self) -> list[list[TaskSummary]]:
        """The tasks by layer: several where several algorithms compute it, the direct one first."""
        layers: dict[Workload, list[TaskSummary]] = {}
        for task in self.tasks.values():
            layers.setdefault(task.workload.layer, []).append(task)
        return list(layers.values())

    @property
    def chosen(self) -> list[TaskSummary]:
        """Of each layer the task with the fastest kernel, the first while none has one."""
        return [min(layer, key=lambda t: t.best.median_s if t.best else math.inf) for layer in self.layers]

    def untuned_latency_s(self) -> float | None:
        """Sum over all calls of the network's tasks without a schedule; None while one of them is unknown."""
        tasks = list(self.tasks.values())
        if any(task.untuned_s is None for task in tasks):
            return None
        return sum(task.count * task.untuned_s for task in tasks if task.untuned_s)

    def latency_s(self) -> tuple[float, float] | None:
        """Sum over all calls of the network's tasks, by default and by best; None while one of them is unknown."""
        direct = [layer[0] for layer in self.layers]
        if any(t.default is None or not t.default.ok for t in direct) or any(t.best is None for t in self.chosen):
            return None
        default_s = sum(t.count * t.default.median_s for t in direct if t.default)
        return default_s, sum(t.count * t.best.median_s for t in self.chosen if t.best)
