"""What raydgp makes of a model, in seconds and without tuning: its kernels, what tunes them, whether it is right."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from raydgp.app import whole
from raydgp.app.deploy.kernels import Kernels
from raydgp.app.observer import Observer
from raydgp.errors import InputError
from raydgp.models.accuracy import TOLERANCE
from raydgp.models.importing import Imported
from raydgp.models.importing.imported import Cut
from raydgp.models.lowering import Lowered
from raydgp.rivals.latency import measure
from raydgp.settings import ModelSettings
from raydgp.targets import Target, kind_named
from raydgp.targets.compiler import versions
from raydgp.templates.spaces import config_space
from raydgp.workloads import TracedKernel

Array = NDArray[Any]

TEMPLATE, TRACED, FALLBACK, BESIDE = "template", "traced space", "as TVM makes it", "beside TVM"


@dataclass(frozen=True)
class Tensor:
    """An input or output."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Kernel:
    """A kernel of the model, or what runs beside TVM.

    Attributes:
        calls: of it, in one call of the model.
        share: of the model's arithmetic, 0 to 1; None where it is not known.
        by: `TEMPLATE`, `TRACED`, `FALLBACK` or `BESIDE`: whence its schedules come.
        size: of its configuration space; None where there is none.
    """

    name: str
    calls: int
    share: float | None
    by: str
    size: int | None


@dataclass(frozen=True)
class Inspection:
    """What a model is to raydgp.

    Attributes:
        target: that it was compiled for, as TVM's attributes.
        inputs: of a model for several sizes those of all, one size after the other; the outputs alike.
        folded: operators of the source, by kind, that are computed already or part of others.
        notes: what was chosen for the user.
        cut: what runs beside TVM.
        error: the largest error of an output of the model with default configurations against its own framework,
            relative to the output's largest magnitude; None where the target's device is not here.
        tolerance: what it may be.
    """

    model: str
    target: dict[str, Any]
    inputs: list[Tensor]
    outputs: list[Tensor]
    folded: dict[str, int]
    kernels: list[Kernel]
    notes: list[str] = field(default_factory=list)
    cut: list[Cut] = field(default_factory=list)
    error: float | None = None
    tolerance: float = TOLERANCE

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def inspect(settings: ModelSettings, observer: Observer) -> Inspection:
    """Imports a model, compiles it with default configurations and compares it with its own framework.

    Args:
        settings: a whole model; a layer table has nothing to import.
        observer: is told how it goes on.

    Raises:
        InputError: the model cannot be imported or compiled, or what was compiled is wrong; names what.
    """
    kind, target = kind_named(settings.kind), None
    with suppress(InputError):  # its device may be another machine's
        target = Target.here(settings.target)
    notes: list[str] = []
    models = whole.imported(settings.model, settings.sizes, notes.append)
    cut = [part for model in models for part in model.cut]
    kernels = Kernels(target or Target.for_tasks(settings.target), {})
    lowered, parts = whole.lowered(settings.model, models, kernels.target, kernels.choose)
    error = None
    if target is None:
        notes.append(f"{settings.model}: not run, for there is no {kind.description.removeprefix('an ')} here")
    else:
        observer.message(f"{settings.model}: compiling {len(lowered.tasks)} kernels with default configurations ...")
        error = _error(settings.model, models, lowered, parts, kernels)
    return Inspection(
        model=settings.model,
        target=kernels.target.to_dict(),
        inputs=[tensor for model in models for tensor in _tensors(model.input_names, model.inputs)],
        outputs=[tensor for model in models for tensor in _tensors(model.output_names, model.expected)],
        folded=dict(models[0].folded),
        kernels=list(_kernels(cut, lowered, kernels.target)),
        notes=notes,
        cut=cut,
        error=error,
        tolerance=models[0].tolerance,
    )


def _error(
    source: str, models: Sequence[Imported], lowered: Lowered, parts: Sequence[Lowered], kernels: Kernels
) -> float:
    """The largest of the compiled model at any size, run by child processes: code that crashes ends those alone."""
    target, threads = kernels.target, kernels.target.cores or 1
    manifest = {"target": target.to_dict(), "versions": versions(), "threads": threads}
    with tempfile.TemporaryDirectory(prefix="raydgp-inspect-") as folder:
        whole.write(Path(folder), source, models, lowered, kernels, manifest)
        ways = {str(size): ("raydgp", f"{folder}#{size}", target.kind) for size in range(len(models))}
        found = measure(ways, 3, threads)
    checked = zip(found.values(), models, parts, strict=True)
    return max(whole.check(source, each, model.tolerance, model, part, kernels) for each, model, part in checked)


def _kernels(cut: Sequence[Cut], lowered: Lowered, target: Target) -> Iterator[Kernel]:
    """The heaviest first, then those whose arithmetic is not counted."""
    total = sum(task.count * task.workload.flops for task in lowered.tasks)
    for task in sorted(lowered.tasks, key=lambda task: -task.count * task.workload.flops):
        by = TRACED if isinstance(task.workload, TracedKernel) else TEMPLATE
        share = task.count * task.workload.flops / total
        yield Kernel(task.name, task.count, share, by, config_space(task.workload, target).size)
    for name, calls in lowered.unscheduled.items():
        yield Kernel(name, calls, None, FALLBACK, None)
    for part in cut:
        named = ", ".join(f"{count} {kind}" if count > 1 else kind for kind, count in part.operators.items())
        yield Kernel(f"onnxruntime: {named}", 1, None, BESIDE, None)


def _tensors(names: Sequence[str], arrays: Sequence[Array]) -> list[Tensor]:
    return [Tensor(name, str(array.dtype), array.shape) for name, array in zip(names, arrays, strict=False)]
