"""What the runs of a live comparison have found, as rows of a comparison on recorded spaces."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from raydgp.app.compare.summary import SHARES, starts
from raydgp.records import Record, RunFolder
from raydgp.records.history import FINALISTS
from raydgp.records.summary import TaskSummary
from raydgp.workloads import Task

Finalists = Mapping[tuple[str, str, int], float]  # by model, task and configuration the median seconds of all turns


@dataclass(frozen=True)
class Searched:
    """One run of the comparison."""

    model: str
    strategy: str
    seed: int
    run: RunFolder


def winners(searches: Iterable[Searched]) -> dict[str, dict[Task, list[int]]]:
    """By model and task the configurations that some search has ended with, each once; of those that have begun."""
    found: defaultdict[str, defaultdict[Task, list[int]]] = defaultdict(lambda: defaultdict(list))
    for search in searches:
        for summary in search.run.summary().chosen if search.run.exists else ():
            task = Task(summary.name, summary.workload, summary.calls)
            if summary.best and summary.best.index not in (known := found[search.model][task]):
                known.append(summary.best.index)
    return {model: dict(tasks) for model, tasks in found.items()}


def finalists(model: str, records: Iterable[Record]) -> dict[tuple[str, str, int], float]:
    """What `Cluster.measure_again` has journalled for a model; what failed in every turn is left out."""
    times: defaultdict[tuple[str, str, int], list[float]] = defaultdict(list)
    for record in records:
        if record.context.strategy == FINALISTS and record.measurement.ok:
            times[model, record.context.task, record.measurement.index].append(record.measurement.median_s)
    return {key: median(seconds) for key, seconds in times.items()}


def rows(searches: Sequence[Searched], again: Finalists) -> pd.DataFrame:
    """A row a search and layer, as `compare` gives of recorded spaces.

    The best that counts for measurements_<share> and seconds_<share> is the best of all searches of a layer. GFLOPS and
    latency are those of all turns of the finalists. Seconds are those of building, running, choosing and learning, one
    after the other, without waiting. There is no score: it asks what random search would have found by when.
    """
    layers = [_Layer(search, tasks, chosen) for search in searches for tasks, chosen in _layers(search)]
    top: defaultdict[tuple[str, str], float] = defaultdict(lambda: math.inf)
    for layer in layers:
        top[layer.key] = min(top[layer.key], layer.best_s[-1] if len(layer.best_s) else math.inf)
    return pd.DataFrame([layer.row(top[layer.key], again) for layer in layers])


def _layers(search: Searched) -> Iterable[tuple[Sequence[TaskSummary], TaskSummary]]:
    summary = search.run.summary()
    return zip(summary.layers, summary.chosen, strict=True)


class _Layer:
    """A layer as one search has searched it, by all of its algorithms."""

    def __init__(self, search: Searched, tasks: Sequence[TaskSummary], chosen: TaskSummary) -> None:
        self._search, self._direct, self._chosen = search, tasks[0], chosen
        self.key = search.model, tasks[0].name
        names = {task.name for task in tasks}
        records = [record for record in search.run.records() if record.context.task in names]
        self._failed = sum(not record.measurement.ok for record in records)
        phases = [record.measurement.phases for record in records]
        self._build_s, self._run_s = sum(p.build_s for p in phases), sum(p.run_s for p in phases)
        self._thinking_s = sum(p.propose_s + p.learn_s for p in phases)
        self._seconds = np.cumsum([p.build_s + p.run_s + p.propose_s + p.learn_s for p in phases])
        self._latencies_s = np.array([r.measurement.median_s if r.measurement.ok else math.inf for r in records])
        self.best_s = np.minimum.accumulate(self._latencies_s) if records else np.zeros(0)

    def row(self, top_s: float, again: Finalists) -> dict[str, Any]:
        """As a comparison has it; `top_s` is the best of all searches."""
        model, task = self.key
        row: dict[str, Any] = {"task": f"{model}/{task}", "calls": self._direct.calls}
        row |= {"strategy": self._search.strategy, "seed": self._search.seed, "runners": 1}
        for share in SHARES:
            reached = np.flatnonzero(self.best_s <= top_s / share)
            row[f"measurements_{100 * share:.0f}"] = float(reached[0] + 1) if len(reached) else math.inf
            row[f"seconds_{100 * share:.0f}"] = float(self._seconds[reached[0]]) if len(reached) else math.inf
        best = self._chosen.best
        latency_s = again.get((model, self._chosen.name, best.index), best.median_s) if best else math.inf
        row |= {"sampled": len(self.best_s), "failed": self._failed}
        row |= {"gflops": self._direct.workload.flops / latency_s / 1e9, "latency_s": latency_s}
        row |= {"seconds": self._build_s + self._run_s + self._thinking_s}
        row |= {"build_s": self._build_s, "run_s": self._run_s, "thinking_s": self._thinking_s, "score": math.nan}
        return row | starts(top_s / self._latencies_s)
