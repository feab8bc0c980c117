"""A whole model as tuning, deploying and inspecting it take it: imported, compiled into a folder, and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from raydgp.app.deploy.kernels import Kernels
from raydgp.errors import InputError
from raydgp.models import folder as folders
from raydgp.models.importing import Imported, load
from raydgp.models.joining import joined
from raydgp.models.kernel_faults import first_fault
from raydgp.models.lowering import Lowered, compile_model, lower
from raydgp.models.packing import Choose
from raydgp.models.refusal import refusal
from raydgp.rivals.latency import Latency
from raydgp.targets import Target


def imported(source: str, sizes: Sequence[Mapping[str, Sequence[int]]], say: Callable[[str], None]) -> list[Imported]:
    """Imports a model once for each size, compared with its own framework.

    Args:
        sizes: shapes of its inputs.
        say: is told what was chosen for the user, and what runs beside TVM.

    Raises:
        InputError: as `raydgp.models.importing.load`.
    """
    models = [load(source, inputs) for inputs in sizes]
    for note in dict.fromkeys(note for model in models for note in model.notes):
        say(f"{source}: {note}")
    return models


def lowered(
    source: str, models: Sequence[Imported], target: Target, choose: Choose | None = None
) -> tuple[Lowered, list[Lowered]]:
    """Tells the kernels of a model apart: those of all its sizes, and of each.

    Args:
        models: as of `imported`.
        choose: as of `raydgp.models.packing.pack`.

    Raises:
        InputError: TVM cannot make kernels of it.
    """
    with refusal(source, "TVM cannot make kernels of the model"):
        parts = [lower(model.module, target, choose) for model in models]
        return joined(parts), parts


def write(
    folder: Path,
    source: str,
    models: Sequence[Imported],
    lowered: Lowered,
    kernels: Kernels,
    manifest: dict[str, Any],
) -> None:
    """Compiles a lowered model and writes the folder that runs it.

    Args:
        models: the same for each size, as of `imported`.
        manifest: of the folder; it is told what runs beside TVM.

    Raises:
        InputError: it does not compile.
    """
    if cut := [asdict(part) for model in models for part in model.cut]:
        manifest["cut"] = cut
    with refusal(source, "TVM cannot compile the model"):
        executable = compile_model(lowered, kernels.target, kernels.scheduled)
    samples = [(model.inputs, model.expected) for model in models]
    beside = {name: part for model in models for name, part in model.beside.items()}
    folders.write(folder, executable, lowered, samples, manifest, beside)


def check(
    source: str,
    found: Latency | str,
    tolerance: float,
    model: Imported,
    lowered: Lowered,
    kernels: Kernels,
) -> float:
    """The error of a compiled model, whose latency `found` is, against the model's own framework.

    Raises:
        InputError: it does not run, or the error is above the tolerance; names the first kernel that is wrong.
    """
    if isinstance(found, str):
        raise InputError(f"{source}: the compiled model does not run: {found}")
    if found.error <= tolerance:
        return found.error
    fault = first_fault(lowered, kernels.target, kernels.scheduled, model.inputs, tolerance)
    first = f"the first kernel that computes something else than its definition is {fault}"
    none = "each of its kernels computes what it is defined as, so that the fault is in what raydgp made of the model"
    raise InputError(
        f"{source}: the compiled model is wrong by {found.error:.2g} of its largest output, above {tolerance:g}; "
        f"{first if fault else none}"
    )
