"""Searches a model's layers in rounds: each gives the next measurements to the layers with the most to gain."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from raydgp.app.observer import Observer
from raydgp.app.tune.experience import Experience, space_sharing_key
from raydgp.records import RunFolder, RunManifest
from raydgp.records.summary import RunSummary
from raydgp.search.allocation import Progress, next_slices
from raydgp.settings import TuneSettings
from raydgp.templates.spaces import config_space
from raydgp.workloads import Task

if TYPE_CHECKING:
    from raydgp.cluster import Cluster

FLOOR = 16  # measurements that every layer gets
AMONG_SHARING = 8  # that it gets where one of its kin has got them: the default's and the best of the other's
_SLICE = 32
_AT_A_TIME = 4  # layers a round: those in flight stay busy while one of them ends


def tune_by_gain(
    cluster: Cluster, settings: TuneSettings, tasks: Sequence[Task], run: RunFolder, observer: Observer
) -> None:
    """Searches until the budget is spent or nothing more is to be gained.

    The floor comes first: of layers that are kin the first, then the others, which start from what it has found.

    Args:
        run: where the manifest is saved after every round, with where the searches started and the seconds spent.
    """
    experience = Experience(settings, cluster.target, cluster.device)
    while names := _next(settings, tasks, run.manifest, run.summary()):
        began = time.monotonic()
        records, chosen = run.records(), [task for task in tasks if task.name in names]
        run.save(experience.with_start_points(run.manifest, chosen, records))
        points = {entry.name: entry.start_points for entry in run.manifest.tasks}
        cluster.tune(chosen, records, names, points)
        spent_s = run.manifest.spent_s + time.monotonic() - began
        run.save(run.manifest.model_copy(update={"spent_s": spent_s}))
    if not _spent(settings, tasks, run.manifest, _measured(tasks, run.summary())):
        observer.message("The search ends before its budget: nothing more is to be gained.")


def _measured(tasks: Sequence[Task], summary: RunSummary) -> int:
    return sum(summary.tasks[task.name].measured for task in tasks)


def _spent(settings: TuneSettings, tasks: Sequence[Task], manifest: RunManifest, measured: int) -> bool:
    """Whether the time or the measurements are used up."""
    left = _affordable(settings, tasks, manifest, measured)
    return left is not None and left <= 0


def _late(settings: TuneSettings, manifest: RunManifest) -> bool:
    return settings.minutes is not None and manifest.spent_s >= 60 * settings.minutes


def _next(settings: TuneSettings, tasks: Sequence[Task], manifest: RunManifest, summary: RunSummary) -> dict[str, int]:
    """Layers of the next round, name -> measurements that it is to have afterwards; none at the end."""
    progress = _progress(tasks, manifest, summary)
    measured = {name: len(layer.best_s) for name, layer in progress.items()}
    known = {
        space_sharing_key(task.workload): task for task in tasks if measured[task.name] >= min(FLOOR, settings.trials)
    }
    floor = {
        task.name: min(
            settings.trials, FLOOR if known.get(space_sharing_key(task.workload), task) == task else AMONG_SHARING
        )
        for task in tasks
    }
    below = [task for task in tasks if measured[task.name] < floor[task.name] and progress[task.name].left]
    if below and not _late(settings, manifest):
        kin: dict[object, Task] = {}
        for task in below:
            kin.setdefault(space_sharing_key(task.workload), task)
        return {t.name: min(floor[t.name], measured[t.name] + progress[t.name].left) for t in kin.values()}
    if _spent(settings, tasks, manifest, sum(measured.values())):
        return {}
    slices = next_slices(progress, _SLICE, _AT_A_TIME, _affordable(settings, tasks, manifest, sum(measured.values())))
    return {name: measured[name] + more for name, more in slices.items()}


def _affordable(settings: TuneSettings, tasks: Sequence[Task], manifest: RunManifest, measured: int) -> int | None:
    """Measurements that the budget has left, by the time that they took so far; None where it has no end."""
    left = [] if settings.most_trials is None else [settings.most_trials * len(tasks) - measured]
    if settings.minutes is not None and manifest.spent_s:
        left.append(int((60 * settings.minutes - manifest.spent_s) * measured / manifest.spent_s))
    return min(left, default=None)


def _progress(tasks: Sequence[Task], manifest: RunManifest, summary: RunSummary) -> dict[str, Progress]:
    settled = {entry.name for entry in manifest.tasks if entry.settled}
    out = {}
    for task in tasks:
        best_s = tuple(summary.tasks[task.name].best_s)
        most = FLOOR if task.name in settled else config_space(task.workload, manifest.target).size
        others = (t.name for t in tasks if t.workload.layer == task.workload.layer and t != task)
        rival_s = min((summary.tasks[name].latency_s for name in others), default=math.inf)
        out[task.name] = Progress(task.count, best_s, max(0, most - len(best_s)), rival_s)
    return out
