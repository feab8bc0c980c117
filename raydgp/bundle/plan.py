"""What a plan means: the tasks of a bundle with their configurations, in the order of measuring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from raydgp.bundle.format import Origin
from raydgp.bundle.register_rule import refused_beside_valid
from raydgp.errors import InputError, nearest
from raydgp.records.recorded import recorded_files
from raydgp.records.winners import winners
from raydgp.settings import BundleSettings, BundleTask
from raydgp.space import ConfigSpace
from raydgp.space.thinning import thinned
from raydgp.targets import Target, kinds
from raydgp.templates.base import LaidOut
from raydgp.templates.registry import template_for
from raydgp.templates.spaces import config_space
from raydgp.workloads import Workload, zoo

Wanted = tuple[int, Origin]  # a configuration, and why


@dataclass(frozen=True)
class PlannedTask:
    """A layer with its configurations, each once, in the order of measuring: what is first counts if time is short."""

    name: str
    space: ConfigSpace
    wanted: tuple[Wanted, ...]
    grid: ConfigSpace | None = None  # the sub-space of it that is there as a whole


def planned(settings: BundleSettings) -> tuple[Target, list[PlannedTask]]:
    """The target and the tasks of a plan.

    Raises:
        InputError: the plan asks for what there is not; says which task of it.
    """
    target = target_of(settings)
    if settings.measure.cold_cache:
        raise InputError("measure.cold_cache: a runner flushes no caches; say `caches: [rotated]` instead")
    tasks = []
    for number, task in enumerate(settings.tasks):
        try:
            tasks.append(_planned(task, target, settings.seed))
        except InputError as error:
            raise InputError(f"tasks.{number}: {error}") from None
    names = [task.name for task in tasks]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"tasks: {twice[0]} is there twice; say all of its configurations in one place")
    return target, tasks


def target_of(settings: BundleSettings) -> Target:
    """What a plan's kernels are for.

    Raises:
        InputError: there is no such target, or nothing of it can be put into a bundle.
    """
    target = Target.here(settings.target) if settings.target in kinds() else Target.named(settings.target)
    if not target.behaviour.parts:
        raise InputError(f"target: {target.kind} has no kernels that a bundle can hold; choose llvm or cuda")
    return target


def _planned(task: BundleTask, target: Target, seed: int) -> PlannedTask:
    space = config_space(_workload(task.layer), target, task.algorithm)
    _check_layouts(space)
    grid = thinned(space, task.grid) if task.grid else None
    name = task.layer if task.algorithm == "direct" else f"{task.layer}-{task.algorithm}"
    return PlannedTask(name, space, tuple(_configurations(task, space, grid, target, seed).items()), grid)


def _configurations(
    task: BundleTask, space: ConfigSpace, grid: ConfigSpace | None, target: Target, seed: int
) -> dict[int, Origin]:
    """The default, then winners, then all else mixed, so that of a measurement cut short all kinds are there.

    What is refused stands beside its neighbour: the same clocks and temperature for both.
    """
    draws, pairs, order = (np.random.default_rng([seed, stream]) for stream in range(3))
    groups: list[list[Wanted]] = [[(index, "draw")] for index in space.sample_valid(task.draws, draws).tolist()]
    if grid:
        kept = np.flatnonzero(grid.valid(np.arange(grid.size))).tolist()
        groups += [[(space.encode(grid.decode(index)), "grid")] for index in kept]
    for refused, valid in refused_beside_valid(space, target, task.algorithm, task.refused, pairs):
        groups.append([(refused, "refused"), (valid, "neighbour")])
    mixed = [one for number in order.permutation(len(groups)) for one in groups[number]]
    first: list[Wanted] = [(space.default, "default")] if space.valid([space.default])[0] else []
    out: dict[int, Origin] = {}
    for index, origin in [
        *first,
        *((index, "winner") for index in winners(recorded_files(task.winners), space)),
        *mixed,
    ]:
        out.setdefault(index, origin)
    return out


def _workload(layer: str) -> Workload:
    network, slash, name = layer.partition("/")
    if not slash:
        raise InputError(f"layer {layer!r} must be NETWORK/TASK, such as resnet18/rb3-conv2")
    tasks: dict[str, Workload] = {task.name: task.workload for task in zoo.tasks(network)}
    if name not in tasks:
        raise InputError(f"{network} has no task {name!r}{nearest(name, list(tasks))}")
    return tasks[name]


def _check_layouts(space: ConfigSpace) -> None:
    """Whether a runner without raydgp can lay out the inputs, which takes layouts that are data."""
    template = template_for(space)
    own = isinstance(template, LaidOut) and (type(template).pack, type(template).unpack)
    if own != (LaidOut.pack, LaidOut.unpack):
        raise InputError(f"template {space.template} lays out arrays by code; say `layouts` and `out_layout` instead")


def count(tasks: Sequence[PlannedTask]) -> int:
    """Kernels of all tasks."""
    return sum(len(task.wanted) for task in tasks)
