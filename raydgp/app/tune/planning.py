"""What a run is to tune, with everything checked that needs no machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from raydgp import app, models, search
from raydgp.errors import InputError, nearest
from raydgp.settings import TuneSettings
from raydgp.targets import Target
from raydgp.templates.spaces import config_space
from raydgp.workloads import Fused, Task, zoo
from raydgp.workloads.fused import ALGORITHMS


def plan(
    settings: TuneSettings,
    layers: Sequence[Task] | None = None,
    say: Callable[[str], None] = lambda _: None,
    on_wait: Callable[[str], None] = lambda _: None,
) -> tuple[TuneSettings, list[Task]]:
    """The layer tasks that the settings ask for: of the papers' table of a network, or of a model that is imported.

    Args:
        layers: the caller's own, in place of the model's.
        say: is told what was chosen for the user when the model was imported.
        on_wait: is told before something that takes seconds.

    Returns:
        The settings, completed by what the model says, and the tasks.

    Raises:
        InputError: unknown model, task, strategy or option of it, or a model that cannot be imported.
    """
    if layers is not None:
        tasks = list(layers)
    elif settings.is_imported:
        models.sources.check(settings.model)  # first: torch and TVM take seconds to load
        search.named(settings.strategy)
        on_wait(f"{settings.model}: importing ...")
        settings, tasks = _imported(settings, say)
    else:
        tasks = zoo.tasks(settings.model)
    if settings.tasks is not None:
        by_name = {task.name: task for task in tasks}
        for name in settings.tasks:
            if name not in by_name:
                raise InputError(f"{settings.model} has no task {name!r}{nearest(name, by_name)}")
        tasks = [by_name[name] for name in dict.fromkeys(settings.tasks)]
    if not tasks and settings.tasks is None:
        raise InputError(f"{settings.model}: has no kernel that can be tuned, so there is nothing for a run to do")
    if not tasks:
        raise InputError("tasks: name at least one, or leave the key out to tune all of them")
    strategy_of(settings, tasks[0])
    return settings, tasks


def strategy_of(settings: TuneSettings, task: Task) -> search.Strategy:
    """The strategy that searches a task, not yet asked."""
    options = search.with_models(settings.strategy, settings.options, settings.models_dir)
    return search.create(settings.strategy, config_space(task.workload, settings.target), settings.seed, **options)


def _imported(settings: TuneSettings, say: Callable[[str], None]) -> tuple[TuneSettings, list[Task]]:
    # the GPU may be another machine's, of a cluster that is joined later; the tasks do not depend on it
    target = Target.for_tasks(settings.target)
    sized = app.whole.imported(settings.model, settings.sizes, say)
    lowered, parts = app.whole.lowered(settings.model, sized, target)
    if target.behaviour.on_processors and settings.measure.model_mb is None:
        model_mb = max(sum(array.nbytes for array in part.parameters) for part in parts) / 1e6
        settings = settings.model_copy(update={"measure": settings.measure.model_copy(update={"model_mb": model_mb})})
    return settings, list(_with_variants(lowered.tasks, settings.target))


def _with_variants(tasks: Sequence[Task], kind: str) -> Iterator[Task]:
    """Each layer once for every algorithm that can compute it: deploying takes the fastest."""
    for task in tasks:
        yield task
        if not isinstance(task.workload, Fused):
            continue
        for algorithm in ALGORITHMS[1:]:
            variant = replace(task.workload, algorithm=algorithm)
            with suppress(InputError):  # it does not serve this layer
                config_space(variant, kind)
                yield Task(f"{task.name}_{algorithm}", variant, task.count)
