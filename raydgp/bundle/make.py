"""A plan built by all cores into one file, as `raydgp.bundle.format` describes it."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from raydgp.bundle import script
from raydgp.bundle.assembling import members
from raydgp.bundle.format import Code, Kernel
from raydgp.bundle.plan import PlannedTask, Wanted, planned
from raydgp.bundle.planned_models import NO_MODELS, PlannedModels, own_codes
from raydgp.bundle.work import Chunk, Work
from raydgp.bundle.writing import compressed, write
from raydgp.errors import InputError, RaydgpError
from raydgp.run.builder import Built
from raydgp.run.building import Builders
from raydgp.run.libraries import runtime_libraries
from raydgp.settings import BundleSettings
from raydgp.targets import Target
from raydgp.targets.compiler import versions

CHUNK = 128  # kernels that are kept together and compressed as one


@dataclass(frozen=True)
class Made:
    """A bundle that is there.

    Attributes:
        path: of its file.
        tasks, kernels, models: how many it holds.
        failed: kernels that have no code, by status.
        size_bytes: of the file.
        wall_s: seconds it took, those of earlier starts not counted.
    """

    path: Path
    tasks: int
    kernels: int
    models: int
    failed: dict[str, int]
    size_bytes: int
    wall_s: float


@dataclass(frozen=True)
class _Piece:
    """What becomes a chunk."""

    number: int
    task: PlannedTask
    wanted: tuple[Wanted, ...]


def make(
    settings: BundleSettings,
    out: Path,
    carry_runner: bool,
    progress: Callable[[int, int], None] = lambda *_: None,
    models: PlannedModels = NO_MODELS,
) -> Made:
    """Builds all kernels of a plan, each in a child process, and writes the bundle.

    What is built is kept in a folder beside it until the file is there: the same call goes on after a kill.

    Args:
        carry_runner: whether the script that measures it comes with it.
        progress: called with (kernels built, of how many), those of earlier starts among them.
        models: those of the plan, as `raydgp.app.bundled_models` makes them ready.

    Raises:
        InputError: the plan cannot be built, or `out` cannot be written.
        RaydgpError: nothing can be built here; the message is the reason.
    """
    began_s = time.monotonic()
    target, tasks = planned(settings)
    tasks += models.tasks
    if out.is_dir():
        raise InputError(f"{out}: is a folder; give --out a file to write")
    carried = list(script.members().items()) if carry_runner else []
    made_by, pieces = versions(), list(_pieces(tasks))
    identity = {
        "settings": settings.model_dump(mode="json"),
        "target": target.to_dict(),
        "versions": made_by,
        "tasks": [[task.space.hash, task.wanted] for task in tasks],
        "models": [[model.name, model.digest] for model in models.models],
    }
    with Work(out, identity) as work:
        chunks = _built(settings, target, pieces, work, progress)
        built = [
            (task, [k for piece in pieces if piece.task is task for k in chunks[piece.number].kernels])
            for task in tasks
        ]
        codes = [code for chunk in chunks for code in chunk.codes]
        blocks: dict[int, Path | bytes] = {n: work.block(n) for n, chunk in enumerate(chunks) if chunk.codes}
        more, content = own_codes(models.models, len(chunks), {code.code for code in codes})
        if more:
            codes, blocks[len(chunks)] = [*codes, *more], compressed(content, words=not target.behaviour.on_processors)
        libraries = runtime_libraries() if target.behaviour.on_processors else []
        found = members(settings, target, made_by, built, codes, blocks, libraries, models.models)
        try:
            write(out, [*found, *carried])
        except OSError as error:
            raise InputError(f"{out}: {error.strerror or error}; what is built is kept, mend the path") from None
        work.remove()
    kernels = [kernel for chunk in chunks for kernel in chunk.kernels]
    failed: Counter[str] = Counter(kernel.status for kernel in kernels if kernel.status != "ok")
    size, wall_s = out.stat().st_size, time.monotonic() - began_s
    return Made(out, len(tasks), len(kernels), len(models.models), dict(failed), size, wall_s)


def _pieces(tasks: Sequence[PlannedTask]) -> Iterator[_Piece]:
    """All configurations in pieces of one task."""
    parts = ((task, start) for task in tasks for start in range(0, len(task.wanted), CHUNK))
    for number, (task, start) in enumerate(parts):
        yield _Piece(number, task, task.wanted[start : start + CHUNK])


def _built(
    settings: BundleSettings,
    target: Target,
    pieces: Sequence[_Piece],
    work: Work,
    progress: Callable[[int, int], None],
) -> list[Chunk]:
    """The chunks of all pieces, by number: what is kept already, and the rest now."""
    chunks = {piece.number: chunk for piece in pieces if (chunk := work.chunk(piece.number))}
    todo = [piece for piece in pieces if piece.number not in chunks]
    done, total = sum(len(chunk.kernels) for chunk in chunks.values()), sum(len(piece.wanted) for piece in pieces)
    known = {code.code for chunk in chunks.values() for code in chunk.codes}
    progress(done, total)
    with Builders() as builders:
        jobs = [(piece.task.space, index) for piece in todo for index, _ in piece.wanted]
        results = builders.build(jobs, target, settings.measure.build_timeout_s, "parts")
        for piece in todo:
            built = []
            for result, _ in islice(results, len(piece.wanted)):
                built.append(result)
                done += 1
                progress(done, total)
            if not known and all(result.error for result in built):
                raise RaydgpError(f"{piece.task.name}: none of {len(built)} kernels can be built: {built[0].error}")
            chunks[piece.number] = _kept(work, piece, built, known)
    return [chunks[piece.number] for piece in pieces]


def _kept(work: Work, piece: _Piece, built: Sequence[Built], known: set[str]) -> Chunk:
    """The chunk of a piece, kept in the work folder, with the codes that are not known yet, which then are."""
    kernels, codes, block = [], [], bytearray()
    for (index, origin), result in zip(piece.wanted, built, strict=True):
        name = "" if result.error else hashlib.sha256(result.library).hexdigest()
        knobs = {knob: list(v) if isinstance(v, tuple) else v for knob, v in piece.task.space.decode(index).items()}
        kernels.append(
            Kernel(
                index=index,
                knobs=knobs,
                origin=origin,
                status=result.status.value,
                error=result.error,
                build_s=round(result.build_s, 3),
                code=name,
                launches=result.launches,
                workspaces=result.workspaces,
                resources=result.resources,
            )
        )
        if name and name not in known:
            known.add(name)
            codes.append(Code(code=name, block=piece.number, offset=len(block), size=len(result.library)))
            block += result.library
    chunk = Chunk(kernels=tuple(kernels), codes=tuple(codes))
    on_gpu = any(result.launches for result in built)
    work.keep(piece.number, chunk, compressed(bytes(block), words=on_gpu))
    return chunk
