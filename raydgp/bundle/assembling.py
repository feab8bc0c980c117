"""The members of a bundle, of all chunks that were built."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from raydgp.bundle.format import Code, Header, Kernel, Task
from raydgp.bundle.inputs import logical_inputs
from raydgp.bundle.plan import PlannedTask
from raydgp.bundle.planned_models import PlannedModel, model_members
from raydgp.bundle.runner.archive import CODES, FORMAT, HEADER
from raydgp.bundle.writing import compressed, lines, sampled
from raydgp.settings import BundleSettings
from raydgp.targets import Target
from raydgp.templates.base import LaidOut, RoundingTemplate
from raydgp.templates.layouts import Array, Layout
from raydgp.templates.reference import reference
from raydgp.templates.registry import template_for

Members = list[tuple[str, bytes | Path]]


def members(
    settings: BundleSettings,
    target: Target,
    versions: dict[str, str],
    built: Sequence[tuple[PlannedTask, Sequence[Kernel]]],
    codes: Sequence[Code],
    blocks: Mapping[int, Path | bytes],
    libraries: Sequence[Path],
    models: Sequence[PlannedModel],
) -> Members:
    """All members but the runner, the header first.

    Args:
        built: the tasks with their kernels, whose layouts are looked up here.
        blocks: number -> file, or what is in it.
        libraries: that the runner loads.
    """
    tasks, parts = [], Members()
    for number, (planned, kernels) in enumerate(built):
        task, laid_out = _task(number, planned, kernels)
        tasks.append(task)
        parts.append((task.kernels, compressed(lines(kernel.model_dump(mode="json") for kernel in laid_out))))
        parts.append((task.expected, compressed(sampled(_reference(planned)))))
    by_space = {task.space.hash: (number, kernels) for number, (task, kernels) in enumerate(built)}
    entries = []
    for number, model in enumerate(models):
        entry, own = model_members(number, model, by_space)
        entries.append(entry)
        parts += own
    runtime = {library.name: f"runtime/{library.name}.xz" for library in libraries}
    header = Header(
        format=FORMAT,
        made_unix_s=time.time(),
        versions=versions,
        target=target.to_dict(),
        kind=target.kind,
        threads=settings.measure.threads,
        measure=settings.measure.model_dump(mode="json"),
        caches=tuple(settings.caches),
        tasks=tuple(tasks),
        models=tuple(entries),
        runtime=runtime,
    )
    return [
        (HEADER, header.model_dump_json().encode()),
        (CODES, compressed(lines(code.model_dump() for code in codes))),
        *parts,
        *((f"blocks/{number}.xz", block) for number, block in blocks.items()),
        *((runtime[library.name], compressed(library.read_bytes())) for library in libraries),
    ]


def _task(number: int, planned: PlannedTask, kernels: Sequence[Kernel]) -> tuple[Task, list[Kernel]]:
    space = planned.space
    template, workload = template_for(space), space.workload
    assert isinstance(template, LaidOut)  # which the plan has seen to
    numbers: dict[Layout, int] = {}
    laid_out = []
    for kernel in kernels:
        knobs = space.decode(kernel.index)
        arguments, out = template.layouts(workload, knobs), template.out_layout(workload, knobs)
        for layout in (*arguments, out):
            numbers.setdefault(layout, len(numbers))
        found = {
            "layouts": tuple(numbers[layout] for layout in arguments),
            "out": numbers[out],
            "out_shape": template.out_shape(workload, knobs),
        }
        laid_out.append(kernel.model_copy(update=found))
    first = kernels[0] if kernels else None
    has_default = first is not None and first.origin == "default" and first.status == "ok"
    task = Task(
        name=planned.name,
        workload=workload.to_dict(),
        template=space.template,
        space_hash=space.hash,
        flops=workload.flops,
        inputs=workload.input_shapes,
        output=workload.output_shape,
        default=0 if has_default else None,
        expected=f"tasks/{number}/expected.xz",
        layouts=tuple(layout.steps for layout in numbers),
        kernels=f"tasks/{number}/kernels.jsonl.xz",
        count=len(kernels),
        grid={knob.name: tuple(knob.labels) for knob in planned.grid.knobs} if planned.grid else {},
    )
    return task, laid_out


def _reference(planned: PlannedTask) -> Array:
    """The output that a runner's inputs give, as the template's kernels read them."""
    template, workload = template_for(planned.space), planned.space.workload
    inputs = logical_inputs(workload.input_shapes)
    return reference(workload, template.rounded(inputs) if isinstance(template, RoundingTemplate) else inputs)
