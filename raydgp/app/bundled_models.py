"""Whole models made ready for a bundle: imported, lowered, their kernels chosen, and run here to know what is right."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raydgp.app.deploy.kernels import Kernels
from raydgp.app.observer import Observer, PlainObserver
from raydgp.bundle.format import Origin
from raydgp.bundle.inputs import logical_inputs
from raydgp.bundle.plan import PlannedTask, target_of
from raydgp.bundle.planned_models import PlannedKernel, PlannedModel, PlannedModels, given_arrays
from raydgp.bundle.runner.sequence import positions
from raydgp.errors import InputError, RaydgpError
from raydgp.models.accuracy import difference
from raydgp.models.importing import Imported, load
from raydgp.models.lowering import Lowered, lower
from raydgp.models.plain_run import PlainRun
from raydgp.models.straight_line import StraightLine, straight_line
from raydgp.models.untasked import compile_function
from raydgp.records import RunFolder
from raydgp.records.recorded import recorded_files
from raydgp.records.winners import nearest_winners
from raydgp.settings import BundleModel, BundleSettings, TuneSettings, source_of
from raydgp.space import ConfigSpace
from raydgp.targets import Target
from raydgp.templates.base import LaidOut
from raydgp.templates.registry import template_for
from raydgp.templates.spaces import config_space
from raydgp.templates.traced.code import arrays, decode
from raydgp.workloads import Fused, TracedKernel, Workload

Array = NDArray[Any]

_TENSOR_CORE = "tensor_core"


def planned_models(settings: BundleSettings, observer: Observer | None = None) -> PlannedModels:
    """The models of a plan, ready to be built.

    Args:
        observer: is told which one it is at; the logger `raydgp` by default.

    Raises:
        InputError: one of them cannot be put into a bundle; says which, and why.
    """
    target, tasks, observer = target_of(settings), _Tasks(settings.seed), observer or PlainObserver()
    models = []
    for number, entry in enumerate(settings.models):
        observer.message(f"{entry.model or entry.run}: importing it, and running it here to know what is right ...")
        try:
            models.append(_planned(entry, target, settings.measure.tolerance, tasks))
        except RaydgpError as error:
            raise InputError(f"models.{number}: {error}") from None
    names = [model.name for model in models]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"models: {twice[0]} is there twice; give each a run of its own")
    return PlannedModels(tasks.made(), models)


@dataclass
class _Tasks:
    """Tasks of the models' kernels, each once, with the configurations that any model asks for."""

    seed: int
    spaces: dict[str, tuple[str, ConfigSpace]] = field(default_factory=dict)
    wanted: dict[str, dict[int, Origin]] = field(default_factory=dict)

    def add(self, name: str, space: ConfigSpace, index: int, draws: int) -> None:
        self.spaces.setdefault(space.hash, (name, space))
        wanted = self.wanted.setdefault(space.hash, {})
        if space.valid([space.default])[0] or index == space.default:
            wanted.setdefault(space.default, "default")
        wanted.setdefault(index, "winner")
        drawn = space.sample_valid(draws, np.random.default_rng([self.seed, 0])).tolist() if draws else []
        for each in drawn:
            wanted.setdefault(each, "draw")

    def made(self) -> list[PlannedTask]:
        return [PlannedTask(name, space, tuple(self.wanted[key].items())) for key, (name, space) in self.spaces.items()]


def _planned(entry: BundleModel, target: Target, tolerance: float, tasks: _Tasks) -> PlannedModel:
    source, inputs, kernels = _chosen(entry, target)
    starts = [*([RunFolder(entry.run).name] if entry.run else []), *(path.stem for path in entry.winners)]
    name = "-".join([TuneSettings(model=source).model_name, *starts])
    model = load(source, inputs, check=False)  # which is done below, by what the bundle says of it
    if model.beside:
        raise InputError(f"{source}: parts of it run beside TVM, which a bundle cannot hold ({model.notes[0]})")
    try:
        lowered = lower(model.module, target, kernels.choose)
        line = straight_line(lowered)
        run = PlainRun(line)
        _check(model, line, run, tolerance)
        compiled = _kernels(name, lowered, line, kernels, tasks, entry.draws)
        if entry.tensor_core:
            _add_tensor_cores(name, lowered, target, tasks, entry.tensor_core)
        said, blob, given = given_arrays(dict(zip(line.inputs, model.inputs, strict=True)) | line.constants)
        expected = _expected(line, run, given)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    return PlannedModel(
        name=name,
        source=source,
        digest=model.digest,
        buffers=line.buffers,
        values=line.values,
        given=said,
        kernels=compiled,
        steps=line.steps,
        outputs=line.outputs,
        arrays=blob,
        expected=expected,
    )


def _chosen(entry: BundleModel, target: Target) -> tuple[str, dict[str, tuple[int, ...]], Kernels]:
    """Where the model comes from, its inputs' shapes, and its kernels' configurations."""
    run = RunFolder(entry.run) if entry.run else None
    if run and run.manifest.target.kind != target.kind:
        raise InputError(f"{run.path}: a run on {run.manifest.target.kind}, and the plan is for {target.kind}")
    if entry.model is None and (run is None or not run.settings.is_imported):
        raise InputError("key 'model' is missing; name the model, or the run of one")
    source = source_of(entry.model) if entry.model else run.settings.model if run else ""
    sizes = run.settings.sizes if run and entry.model is None and not entry.inputs else [entry.inputs]
    if len(sizes) > 1:
        raise InputError(f"{entry.run}: tuned for {len(sizes)} sizes, and a bundle holds one: choose it with 'inputs'")
    choice = run.choice() if run else {}
    for task in choice.values():
        space = config_space(task.workload, target)
        if space.hash != task.entry.space_hash or (task.best and not space.valid([task.best.index])[0]):
            raise InputError(f"{entry.run}: its best for {task.name} is no configuration for {target}; leave it out")
    return source, sizes[0], Kernels(target, choice, partial(_winner, recorded_files(entry.winners)))


def _winner(files: Sequence[Path], space: ConfigSpace) -> int:
    """Of the most similar layer; the default where there is none, as of no files."""
    return next(iter(nearest_winners(files, space, 1)), space.default)


def _check(model: Imported, line: StraightLine, run: PlainRun, tolerance: float) -> None:
    """Whether what a bundle says of a model is the model: by its own weights, against its own framework."""
    found = run({**dict(zip(line.inputs, model.inputs, strict=True)), **line.constants})
    if fault := difference(found, model.expected, tolerance=tolerance):
        raise InputError(f"it is not what its own framework gives: {fault}")


def _expected(line: StraightLine, run: PlainRun, given: dict[int, Array]) -> bytes:
    """What every step must write, at some positions, of the arrays that the runner will have."""
    samples: list[bytes] = []

    def seen(_: int, array: Array) -> None:
        samples.append(array.ravel()[positions(array.size)].astype("<f4").tobytes())

    for out in run(given, seen):
        if out.dtype.kind == "f" and not (np.isfinite(out).all() and (out.size == 1 or np.ptp(out) > 0)):
            raise InputError("with random weights it gives no numbers that differ, so nothing could be checked")
    return b"".join(samples)


def _kernels(
    name: str, lowered: Lowered, line: StraightLine, kernels: Kernels, tasks: _Tasks, draws: int
) -> Sequence[PlannedKernel]:
    """Those with a space become tasks, unless numpy's inputs cannot try them; the rest is compiled right away."""
    workloads = {task.name: task.workload for task in lowered.tasks}
    found = []
    for function in line.functions:
        workload = workloads.get(function)
        space = config_space(workload, kernels.target) if workload else None
        if workload and space and _is_task(space):
            index = kernels.index(workload)
            tasks.add(f"{name}/{function}", space, index, draws)
            found.append(PlannedKernel(function, space, index))
            continue
        prim = kernels.scheduled(workload) if workload else line.module[function]
        try:
            compiled = compile_function(prim, kernels.target, scheduled=workload is not None)
        except RaydgpError as error:
            raise InputError(f"kernel {function}: {error}") from None
        found.append(PlannedKernel(function, compiled=compiled))
    return found


def _add_tensor_cores(name: str, lowered: Lowered, target: Target, tasks: _Tasks, draws: int) -> None:
    """The model's convolutions and dense layers on tensor cores, alone: without what follows them, in float16.

    Raises:
        InputError: it has none that tensor cores of the target compute.
    """
    found = False
    for task in lowered.tasks:
        anchor: Workload = task.workload.anchor if isinstance(task.workload, Fused) else task.workload
        with suppress(InputError):  # another operator
            space = config_space(anchor, target, _TENSOR_CORE)
            tasks.add(f"{name}/{task.name}-{_TENSOR_CORE}", space, space.default, draws)
            found = True
    if not found:
        raise InputError(f"tensor_core: it has no layer that {target} computes on tensor cores; leave it out")


def _is_task(space: ConfigSpace) -> bool:
    """Whether a runner without raydgp can try its kernels alone: on numbers in [-1, 1), laid out by steps."""
    workload = space.workload
    if not isinstance(template_for(space), LaidOut):
        return False
    if not isinstance(workload, TracedKernel):
        return True
    if any(dtype != "float32" for _, dtype in arrays(decode(workload))):
        return False
    return bool(np.isfinite(workload.reference(*logical_inputs(workload.input_shapes))).all())
