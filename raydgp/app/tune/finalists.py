"""The last word on which kernels a model gets: the fastest of each layer's records, measured once more side by side.

A search keeps the best of hundreds of timings, each of a few calls, on a machine that others use too: the winner is
often the luckiest. Layers that are kin have measured the same configurations, and share their finalists.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from statistics import median

import numpy as np

from raydgp.app.tune.experience import space_sharing_key
from raydgp.measure import Measurer
from raydgp.records import Record
from raydgp.records.summary import TaskSummary
from raydgp.targets import Target
from raydgp.templates.spaces import config_space
from raydgp.workloads import Workload, from_dict

FINALISTS = 3


def remeasure_finalists(
    layers: Sequence[Sequence[TaskSummary]],
    records: Iterable[Record],
    target: Target,
    measurer: Measurer,
    on_layer: Callable[[], None] = lambda: None,
) -> dict[Workload, TaskSummary]:
    """Of each layer the task that computes it fastest, with the finalist that won as its best.

    A layer of which no finalist runs keeps what its records say; one without any correct measurement, of its own or of
    its kin, is left out.

    Args:
        layers: the tasks of each, as `RunSummary.layers`.
        records: of the run.
        target: its target's attributes.
        on_layer: called when a layer is decided.
    """
    seconds = _seconds(records)
    chosen: dict[Workload, TaskSummary] = {}
    for tasks in layers:
        layer = tasks[0].workload.layer
        won = [
            best for task, indices in _finalists(tasks, seconds) if (best := _measured(task, indices, target, measurer))
        ]
        known = [task for task in tasks if task.best]
        if won or known:
            chosen[layer] = min(won or known, key=lambda task: task.best.median_s if task.best else math.inf)
        on_layer()
    return chosen


def _seconds(records: Iterable[Record]) -> dict[Hashable, dict[int, float]]:
    """By kin and configuration, the median over what the kin have measured."""
    times: defaultdict[Hashable, defaultdict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if record.measurement.ok:
            kin = space_sharing_key(from_dict(record.context.workload))
            times[kin][record.measurement.index].append(record.measurement.median_s)
    return {kin: {index: median(found) for index, found in of.items()} for kin, of in times.items()}


def _finalists(
    tasks: Sequence[TaskSummary], seconds: dict[Hashable, dict[int, float]]
) -> list[tuple[TaskSummary, list[int]]]:
    """The fastest few configurations of a layer, by the task that they are of."""
    ranked = sorted(
        (time_s, place, index)
        for place, task in enumerate(tasks)
        for index, time_s in seconds.get(space_sharing_key(task.workload), {}).items()
    )
    best = ranked[:FINALISTS]
    found = [(task, [index for _, at, index in best if at == place]) for place, task in enumerate(tasks)]
    return [(task, indices) for task, indices in found if indices]


def _measured(task: TaskSummary, indices: list[int], target: Target, measurer: Measurer) -> TaskSummary | None:
    """The task with the fastest of its finalists; None where none runs."""
    space = config_space(task.workload, target)
    measured = measurer.measure(space, np.array(indices))
    best = min((m for m in measured if m.ok), key=lambda m: m.median_s, default=None)
    return replace(task, best=best, best_knobs=space.decode(best.index)) if best else None
