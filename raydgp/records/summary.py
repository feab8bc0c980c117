"""What a run comes to, task by task: the one fold of its records, for the report, the live table, MLflow and resuming.

Records come in the order of the journal. Of those that say the same twice (a journal merged with `cat`) the first
counts. A configuration whose runner was lost counts as failed, and once more when it is measured after all.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from raydgp.records.confidence import confidence
from raydgp.records.history import Machine, identity, searched
from raydgp.records.manifest import TaskEntry
from raydgp.records.measurement import Measurement, Phases, Status
from raydgp.records.record import Record
from raydgp.workloads import Workload, from_dict


class Tally:
    """Counts and cumulative phase times of measurements.

    Attributes:
        measured: configurations measured, the failed ones among them.
        failed: of those, the ones without a correct result.
        disturbed: of those, the ones that other processes got in the way of, however often they were timed.
        phases_s: seconds by phase, as in `Phases`.
        first_ms, last_ms: time of the first and of the last measurement, in milliseconds since 1970; 0 without any.
    """

    def __init__(self) -> None:
        self.measured = 0
        self.failed = 0
        self.disturbed = 0
        self.phases_s = dict.fromkeys(Phases.__struct_fields__, 0.0)
        self.first_ms = 0
        self.last_ms = 0

    def count(self, measured: Measurement) -> None:
        self.measured += 1
        self.failed += not measured.ok
        self.disturbed += "waited" in measured.conditions
        for name in self.phases_s:
            self.phases_s[name] += getattr(measured.phases, name)
        self.first_ms, self.last_ms = self.first_ms or measured.time_ms, max(self.last_ms, measured.time_ms)

    @property
    def busy_s(self) -> float:
        """Seconds spent on proposing, building, running and learning, waiting not counted."""
        return sum(seconds for name, seconds in self.phases_s.items() if name != "queue_s")


class TaskSummary(Tally):
    """One task of a run, built up record by record.

    Attributes:
        entry: of the manifest.
        workload: what is tuned.
        strategy: of its first record; empty before.
        default: measurement of the task's default configuration; None where it is statically invalid, or not measured.
        best_record: the fastest correct measurement so far.
        best_s: after each measurement, the latency of the best so far; infinite while there is none.
        latencies_s: of each correctly measured configuration.
    """

    def __init__(self, entry: TaskEntry) -> None:
        super().__init__()
        self.entry = entry
        self.workload: Workload = from_dict(entry.workload)
        self.strategy = ""
        self.default: Measurement | None = None
        self.best_record: Record | None = None
        self.best_s: list[float] = []
        self.latencies_s: dict[int, float] = {}

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def calls(self) -> int:
        """How often the network calls it."""
        return self.entry.count

    def add(self, record: Record) -> None:
        """Takes in one record of this task."""
        measured = record.measurement
        self.strategy = self.strategy or record.context.strategy
        self.count(measured)
        if measured.index == self.entry.default_index and not (self.default and self.default.ok):
            self.default = measured
        if measured.ok:
            self.latencies_s.setdefault(measured.index, measured.median_s)
        if measured.median_s < self.latency_s:
            self.best_record = record
        self.best_s.append(self.latency_s)

    def with_best(self, record: Record) -> TaskSummary:
        """This summary with another measurement as its best: that of a finalist."""
        other = copy.copy(self)
        other.best_record = record
        return other

    @property
    def best(self) -> Measurement | None:
        return self.best_record.measurement if self.best_record else None

    @property
    def best_knobs(self) -> dict[str, Any]:
        return self.best_record.knobs if self.best_record else {}

    @property
    def latency_s(self) -> float:
        """Seconds a call of the best configuration; infinite while there is none."""
        return self.best.median_s if self.best else math.inf

    @property
    def default_s(self) -> float:
        """Latency of the default configuration; infinite where it is not or not correctly measured."""
        return self.default.median_s if self.default else math.inf

    @property
    def gflops(self) -> float:
        """10^9 operations a second of the best configuration; 0 while there is none."""
        return self.best.gflops(self.workload.flops) if self.best else 0.0

    @property
    def default_gflops(self) -> float:
        """10^9 operations a second of the default configuration; 0 where it has no correct measurement."""
        return self.default.gflops(self.workload.flops) if self.default else 0.0

    @property
    def untuned_gflops(self) -> float:
        """10^9 operations a second of the kernel that TVM makes without a schedule; 0 where it was not measured."""
        return self.workload.flops / self.entry.untuned_s / 1e9 if self.entry.untuned_s else 0.0

    @property
    def speedup(self) -> float:
        """Default latency over best latency; NaN unless both are known."""
        return self.default_s / self.latency_s if self.best and math.isfinite(self.default_s) else math.nan

    @property
    def confidence(self) -> float:
        """The chance that the best is within 1 % of the best of the space; NaN where nothing is known of it."""
        return confidence(self.best_s, self.latencies_s.values(), self.entry.space_size)

    def row(self, peak_gflops: float | None) -> dict[str, Any]:
        """The figures of this task, by the names that all tables share; what is not known is None."""
        return {
            "task": self.name,
            "strategy": self.strategy or None,
            "count": self.calls,
            "default_latency_us": _known(1e6 * self.default_s),
            "best_latency_us": _known(1e6 * self.latency_s),
            "speedup": _known(self.speedup),
            "confidence": _known(self.confidence),
            "untuned_gflops": _known(self.untuned_gflops),
            "default_gflops": _known(self.default_gflops),
            "best_gflops": _known(self.gflops),
            "share_of_peak": _known(self.gflops / peak_gflops) if peak_gflops else None,
            "best_spread": round(self.best.spread, 3) if self.best else None,
            "measured": self.measured,
            "failed": self.failed,
            "busy_s": round(self.busy_s, 1),
            "best_index": self.best.index if self.best else None,
            "best_knobs": self.best_knobs,
        }


@dataclass(frozen=True, kw_only=True)
class NetworkLatency:
    """What all calls of a network's layers take, as far as it is known.

    Attributes:
        layers: all of them.
        unmeasured: names of those without a correct measurement.
        without_default: names of those of which the direct task's default is not known.
        default_s: sum over the others' defaults, in seconds.
        best_s: sum over the bests that are known, in seconds.
        speedup: over the layers of which both are known, the first sum over the second; NaN where there is none.
    """

    layers: int
    unmeasured: list[str]
    without_default: list[str]
    default_s: float
    best_s: float
    speedup: float


class RunSummary(Tally):
    """The tasks of a run in order; records of other tasks, spaces and machines, and of finalists, are ignored.

    Args:
        entries: of the run's manifest.
        records: to begin with.
        machine: that the run is of; any by default.

    Attributes:
        tasks: by name.
        layers: the tasks by layer: several where several algorithms compute it, the direct one first.
    """

    def __init__(
        self, entries: Iterable[TaskEntry], records: Iterable[Record] = (), machine: Machine | None = None
    ) -> None:
        super().__init__()
        self._machine = machine
        self.tasks = {entry.name: TaskSummary(entry) for entry in entries}
        layers: dict[Workload, list[TaskSummary]] = {}
        for task in self.tasks.values():
            layers.setdefault(task.workload.layer, []).append(task)
        self.layers: Sequence[Sequence[TaskSummary]] = list(layers.values())
        self._seen: set[tuple[Any, ...]] = set()
        for record in records:
            self.add(record)

    def add(self, record: Record) -> TaskSummary | None:
        """The task that the record belongs to; None if it does not count."""
        task, mark = self.tasks.get(record.context.task), (record.context.task, *identity(record))
        if task is None or task.entry.space_hash != record.context.space_hash or mark in self._seen:
            return None
        if record.measurement.index >= task.entry.space_size:
            return None
        if not searched(record) or (self._machine and not self._machine.measured(record)):
            return None
        if record.measurement.status is not Status.RUNNER_LOST:
            self._seen.add(mark)
        task.add(record)
        self.count(record.measurement)
        return task

    @property
    def chosen(self) -> list[TaskSummary]:
        """The task with the fastest kernel of each layer, the first while none has one."""
        return [min(layer, key=lambda task: task.latency_s) for layer in self.layers]

    @property
    def unmeasured(self) -> list[str]:
        """Names of the tasks that were never measured."""
        return [task.name for task in self.tasks.values() if not task.measured]

    def network(self) -> NetworkLatency:
        """What the network's layers take; of each the fastest task, and of the defaults the direct task's."""
        pairs = list(zip((layer[0] for layer in self.layers), self.chosen, strict=True))
        default = [direct for direct, _ in pairs if math.isfinite(direct.default_s)]
        both = [(direct, best) for direct, best in pairs if math.isfinite(direct.default_s) and best.best]
        common_s = sum(best.calls * best.latency_s for _, best in both)
        return NetworkLatency(
            layers=len(self.layers),
            unmeasured=[direct.name for direct, best in pairs if not best.best],
            without_default=[direct.name for direct, _ in pairs if not math.isfinite(direct.default_s)],
            default_s=sum(task.calls * task.default_s for task in default),
            best_s=sum(best.calls * best.latency_s for _, best in pairs if best.best),
            speedup=sum(direct.calls * direct.default_s for direct, _ in both) / common_s if both else math.nan,
        )

    def untuned_s(self) -> float | None:
        """Sum over all calls of the network's tasks without a schedule; None while one of them is unknown."""
        entries = [task.entry for task in self.tasks.values()]
        if any(entry.untuned_s is None for entry in entries):
            return None
        return sum(entry.count * entry.untuned_s for entry in entries if entry.untuned_s)


def final_choice(summary: RunSummary, finalists: Iterable[Record]) -> dict[Workload, TaskSummary]:
    """The task that computes each layer fastest, with the measurement that decided it as its best.

    Finalists that were measured again decide, of several times the last; where none ran, the search's own best. A layer
    without any correct measurement is left out.

    Args:
        finalists: records of `RunFolder.finalists`; their trial counts how often finalists were measured.
    """
    by_task: dict[str, list[Record]] = {name: [] for name in summary.tasks}
    for record in finalists:
        by_task[record.context.task].append(record)
    choice: dict[Workload, TaskSummary] = {}
    for tasks in summary.layers:
        again = [(record, task) for task in tasks for record in by_task[task.name]]
        last = max((record.trial for record, _ in again), default=0)
        ran = [(record, task) for record, task in again if record.trial == last and record.measurement.ok]
        won = [task.with_best(record) for record, task in ran] or [task for task in tasks if task.best]
        if won:
            choice[tasks[0].workload.layer] = min(won, key=lambda task: task.latency_s)
    return choice


def _known(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) and value > 0 else None
