"""Searches a model's layers in rounds: each gives the next measurements to the layers with the most to gain."""

from __future__ import annotations

import math
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from raydgp.app.observer import Observer
from raydgp.app.tune.clock import Clock
from raydgp.app.tune.experience import Experience, space_sharing_key
from raydgp.records import RunFolder, RunManifest
from raydgp.records.summary import RunSummary
from raydgp.search.allocation import Progress, next_slices
from raydgp.settings import TuneSettings
from raydgp.templates.spaces import config_space
from raydgp.workloads import Task

if TYPE_CHECKING:
    from raydgp.cluster import Cluster

FIRST = 16  # measurements of a layer's first search
# where another layer with the same space has been searched: the default, the best of the other, a few more
AMONG_SHARING = 8
_SLICE = 32
_AT_A_TIME = 4  # layers a round: those in flight stay busy while one of them ends


def tune_by_gain(
    cluster: Cluster, settings: TuneSettings, tasks: Sequence[Task], run: RunFolder, observer: Observer, clock: Clock
) -> None:
    """Searches until the budget is spent or nothing more is to be gained.

    Every layer's default comes first, those with the most arithmetic ahead: then it is known where the time goes.

    Args:
        run: where the manifest is saved after every round, with where the searches started and the seconds spent.
        clock: of the run's minutes, which are kept to within half of a batch.
    """
    experience = Experience(settings, tasks, cluster.target, cluster.device)
    summary = run.summary()
    budget = _Budget(settings, tasks, clock, _measured(tasks, summary))
    untouched = [task for task in tasks if not summary.tasks[task.name].measured]
    cluster.measure_defaults(sorted(untouched, key=_arithmetic, reverse=True), clock.until_unix_s)
    while names := _next(settings, tasks, run.manifest, run.summary(), budget):
        records, chosen = run.records(), [task for task in tasks if task.name in names]
        run.save(experience.with_start_points(run.manifest, chosen, records))
        points = {entry.name: entry.start_points for entry in run.manifest.tasks}
        cluster.tune(chosen, records, names, points, clock.until_unix_s)
        run.save(run.manifest.model_copy(update={"spent_s": clock.spent_s}))
    run.save(run.manifest.model_copy(update={"spent_s": clock.spent_s}))
    if not budget.spent(_measured(tasks, run.summary())):
        observer.message("The search ends before its budget: nothing more is to be gained.")


def _arithmetic(task: Task) -> float:
    return task.count * float(task.workload.flops)


def _measured(tasks: Sequence[Task], summary: RunSummary) -> int:
    return sum(summary.tasks[task.name].measured for task in tasks)


class _Budget:
    """What is left of the time and of the measurements, at the pace of this start."""

    def __init__(self, settings: TuneSettings, tasks: Sequence[Task], clock: Clock, measured: int) -> None:
        self._most = None if settings.most_trials is None else settings.most_trials * len(tasks)
        self._clock, self._before = clock, measured
        self._began_s = time.monotonic()

    def left(self, measured: int) -> int | None:
        """Measurements; None where there is no end."""
        left = [] if self._most is None else [self._most - measured]
        if math.isfinite(self._clock.left_s):
            pace = (measured - self._before) / max(time.monotonic() - self._began_s, 1e-9)
            soon = self._clock.left_s * pace if pace else math.copysign(math.inf, self._clock.left_s)
            left.append(int(min(max(soon, 0), _SLICE * _AT_A_TIME)))  # more than a round takes is as good as no end
        return min(left, default=None)

    def spent(self, measured: int) -> bool:
        left = self.left(measured)
        return left is not None and left <= 0


def _next(
    settings: TuneSettings, tasks: Sequence[Task], manifest: RunManifest, summary: RunSummary, budget: _Budget
) -> dict[str, int]:
    """Layers of the next round, name -> measurements that it is to have afterwards; none at the end."""
    progress = _progress(settings, tasks, manifest, summary)
    slices = next_slices(progress, _SLICE, _AT_A_TIME, budget.left(_measured(tasks, summary)))
    return {name: summary.tasks[name].measured + more for name, more in slices.items()}


def _progress(
    settings: TuneSettings, tasks: Sequence[Task], manifest: RunManifest, summary: RunSummary
) -> dict[str, Progress]:
    settled = {entry.name for entry in manifest.tasks if entry.settled}
    first = min(FIRST, settings.trials)
    out: dict[str, Progress] = {}
    for task in tasks:
        best_s = tuple(summary.tasks[task.name].best_s)
        most = first if task.name in settled else config_space(task.workload, manifest.target).size
        others = (t.name for t in tasks if t.workload.layer == task.workload.layer and t != task)
        rival_s = min((summary.tasks[name].latency_s for name in others), default=math.inf)
        out[task.name] = Progress(task.count, best_s, max(0, most - len(best_s)), rival_s, first)
    return _one_of_each_space(tasks, out)


def _one_of_each_space(tasks: Sequence[Task], progress: Mapping[str, Progress]) -> dict[str, Progress]:
    """Of layers that share a space one is searched first; the others wait for it, and then need less."""
    out = dict(progress)
    sharing: dict[Hashable, list[str]] = {}
    for task in tasks:
        sharing.setdefault(space_sharing_key(task.workload), []).append(task.name)
    for names in sharing.values():
        new = [name for name in names if out[name].is_new]
        if len(new) < len(names):
            out |= {name: replace(out[name], first=min(out[name].first, AMONG_SHARING)) for name in new}
        else:
            ahead = max(new, key=lambda name: out[name].gain_s(_SLICE))
            out |= {name: replace(out[name], left=0) for name in new if name != ahead}
    return out
