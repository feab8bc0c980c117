"""The last word on which kernels a model gets: the fastest of each layer's records, measured once more side by side.

A search keeps the best of hundreds of timings, each of a few calls, on a machine that others use too: the winner is
often the luckiest. Layers that share a space have measured the same configurations, and share their finalists. What
is measured is journalled; `RunFolder.choice` reads from there who has won.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from statistics import median

import numpy as np

from raydgp.app.tune.experience import space_sharing_key
from raydgp.errors import InputError
from raydgp.measure import Measurer
from raydgp.records import Context, Record, RunFolder
from raydgp.records.history import FINALISTS
from raydgp.records.summary import TaskSummary
from raydgp.templates.spaces import config_space

MOST = 3  # finalists of a layer


def remeasure_finalists(run: RunFolder, measurer: Measurer, on_layer: Callable[[int, int], None]) -> None:
    """Measures the fastest few configurations of each layer again and writes them into the run's journal.

    Args:
        on_layer: told how many layers are measured, and of how many.

    Raises:
        InputError: the run was measured in other spaces than this raydgp has.
        JournalError: the journal cannot be written, or the run still goes on.
    """
    summary = run.summary()
    seconds = _seconds(summary.tasks.values())
    round_ = 1 + max((record.trial for record in run.finalists()), default=-1)
    with run.writer() as journal:
        for done, tasks in enumerate(summary.layers, 1):
            for task, indices in _finalists(tasks, seconds):
                journal.append(_measured(run, task, indices, round_, measurer))
            on_layer(done, len(summary.layers))


def _seconds(tasks: Iterable[TaskSummary]) -> dict[Hashable, dict[int, float]]:
    """By space and configuration, the median over what the layers that share it have measured."""
    times: defaultdict[Hashable, defaultdict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for task in tasks:
        for index, latency_s in task.latencies_s.items():
            times[space_sharing_key(task.workload)][index].append(latency_s)
    return {key: {index: median(found) for index, found in of.items()} for key, of in times.items()}


def _finalists(
    tasks: Sequence[TaskSummary], seconds: dict[Hashable, dict[int, float]]
) -> list[tuple[TaskSummary, list[int]]]:
    """The fastest few configurations of a layer, by the task that they are of."""
    ranked = sorted(
        (time_s, place, index)
        for place, task in enumerate(tasks)
        for index, time_s in seconds.get(space_sharing_key(task.workload), {}).items()
    )
    best = ranked[:MOST]
    found = [(task, [index for _, at, index in best if at == place]) for place, task in enumerate(tasks)]
    return [(task, indices) for task, indices in found if indices]


def _measured(run: RunFolder, task: TaskSummary, indices: list[int], round_: int, measurer: Measurer) -> list[Record]:
    manifest, space = run.manifest, config_space(task.workload, run.manifest.target)
    if space.hash != task.entry.space_hash:
        raise InputError(f"{run.path}: {task.name} was tuned in a space that this raydgp has not: tune it again")
    context = Context(
        task=task.name,
        workload=task.entry.workload,
        target=manifest.target,
        space_hash=space.hash,
        strategy=FINALISTS,
        seed=manifest.settings.get("seed", 0),
        run=run.name,
    )
    measured = measurer.measure(space, np.array(indices))
    return [Record(context=context, trial=round_, knobs=space.decode(m.index), measurement=m) for m in measured]
