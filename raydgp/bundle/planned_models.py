"""Whole models of a plan, as what imports and compiles them hands them to what writes bundles."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from raydgp.bundle.format import Code, Kernel
from raydgp.bundle.inputs import seeded
from raydgp.bundle.models import LARGE_BYTES, Given, ModelEntry, ModelKernel, Step, Value
from raydgp.bundle.models import Sequence as ModelSequence
from raydgp.bundle.plan import PlannedTask
from raydgp.bundle.writing import compressed
from raydgp.space import ConfigSpace

if TYPE_CHECKING:
    from raydgp.build.compile import CompiledKernel

Array = NDArray[Any]

_COMPRESSIBLE = 4  # times smaller: masks and tables, but no weights


@dataclass(frozen=True, eq=False)
class PlannedKernel:
    """A kernel of a model.

    Attributes:
        name: of the model's function.
        space, index: of a configuration among the tasks' kernels; None where it is of none.
        compiled: its code, where it is of no task.
    """

    name: str
    space: ConfigSpace | None = None
    index: int = 0
    compiled: CompiledKernel | None = None


@dataclass(frozen=True, eq=False)
class PlannedModel:
    """A model to be put into a bundle: see `raydgp.bundle.models`.

    Attributes:
        arrays: the bytes that come with the bundle.
        expected: values of each step's outputs.
    """

    name: str
    source: str
    digest: str
    buffers: Sequence[int]
    values: Sequence[Value]
    given: Sequence[Given]
    kernels: Sequence[PlannedKernel]
    steps: Sequence[Step]
    outputs: Sequence[int]
    arrays: bytes
    expected: bytes


@dataclass(frozen=True, eq=False)
class PlannedModels:
    """All models of a plan.

    Attributes:
        tasks: of their kernels, each once, whichever models it is of.
    """

    tasks: Sequence[PlannedTask] = ()
    models: Sequence[PlannedModel] = ()


NO_MODELS = PlannedModels()


def given_arrays(arrays: Mapping[int, Array]) -> tuple[list[Given], bytes, dict[int, Array]]:
    """How the inputs and weights of a model come into a bundle.

    Args:
        arrays: the model's own, by the numbers of their values.

    Returns:
        What the bundle says of them, the bytes of those that come with it, and the arrays that the runner will have.
    """
    said, blob, made = [], bytearray(), {}
    for number, (value, own) in enumerate(arrays.items()):
        array = np.ascontiguousarray(own)
        if _is_weight(array):
            mean, std = float(array.mean(dtype=np.float64)), float(array.std(dtype=np.float64))
            said.append(Given(value=value, mean=mean, std=std))
            made[value] = seeded(number, array.shape, array.dtype.name, mean, std)
        else:
            blob += b"\0" * (-len(blob) % 8)  # so that numpy reads it where it is
            said.append(Given(value=value, at=len(blob)))
            blob += array.astype(array.dtype.newbyteorder("<")).tobytes()
            made[value] = array
    return said, bytes(blob), made


def _is_weight(array: Array) -> bool:
    """Whether it is large, of floats, and as good as random."""
    if array.dtype.kind != "f" or array.nbytes <= LARGE_BYTES or not np.isfinite(array).all():
        return False
    content = array.tobytes()
    return _COMPRESSIBLE * len(zlib.compress(content, 1)) > len(content)


def model_members(
    number: int, model: PlannedModel, tasks: Mapping[str, tuple[int, Sequence[Kernel]]]
) -> tuple[ModelEntry, list[tuple[str, bytes]]]:
    """A model's entry in the header, and its members.

    Args:
        number: of the model.
        tasks: number and kernels of each task, by the hash of its space.
    """
    kernels = []
    for planned in model.kernels:
        if planned.space is None:
            kernels.append(_own(planned))
            continue
        task, built = tasks[planned.space.hash]
        place = next(place for place, kernel in enumerate(built) if kernel.index == planned.index)
        if built[place].status != "ok":
            error = f"{planned.name}: {built[place].status}: {built[place].error}"
            return ModelEntry(name=model.name, source=model.source, digest=model.digest, error=error), []
        kernels.append(ModelKernel(name=planned.name, task=task, place=place))
    sequence = ModelSequence(
        buffers=tuple(model.buffers),
        values=tuple(model.values),
        given=tuple(model.given),
        kernels=tuple(kernels),
        steps=tuple(model.steps),
        outputs=tuple(model.outputs),
    )
    names = {name: f"models/{number}/{name}" for name in ("sequence.json.xz", "arrays.xz", "expected.xz")}
    entry = ModelEntry(
        name=model.name,
        source=model.source,
        digest=model.digest,
        **{member.partition(".")[0]: path for member, path in names.items()},
    )
    contents = (sequence.model_dump_json().encode(), model.arrays, model.expected)
    return entry, [(path, compressed(content)) for path, content in zip(names.values(), contents, strict=True)]


def own_codes(models: Sequence[PlannedModel], block: int, known: set[str]) -> tuple[list[Code], bytes]:
    """The machine code of kernels that are of no task, as one block, and where each is in it.

    Args:
        block: its number.
        known: codes that other blocks have.
    """
    codes, content = [], bytearray()
    for kernel in (kernel for model in models for kernel in model.kernels):
        if kernel.compiled and (name := _name(kernel.compiled)) not in known:
            known.add(name)
            codes.append(Code(code=name, block=block, offset=len(content), size=len(kernel.compiled.library)))
            content += kernel.compiled.library
    return codes, bytes(content)


def _own(planned: PlannedKernel) -> ModelKernel:
    compiled = planned.compiled
    assert compiled is not None
    return ModelKernel(
        name=planned.name,
        code=_name(compiled),
        launches=compiled.launches,
        workspaces=compiled.workspaces,
        resources=compiled.resources,
    )


def _name(compiled: CompiledKernel) -> str:
    return hashlib.sha256(compiled.library).hexdigest()
