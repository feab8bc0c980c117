"""Results of a bundle made into records like any others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from raydgp.bundle.format import Kernel, Task
from raydgp.bundle.merging_models import model_latencies
from raydgp.bundle.reading import Bundle
from raydgp.errors import MALFORMED, InputError, form_of
from raydgp.records import Context, Measurement, Phases, Record, Status
from raydgp.records.measurement import check_measurement
from raydgp.records.model_latency import ModelLatency
from raydgp.records.recorded import RecordedSpace
from raydgp.space import ConfigSpace
from raydgp.targets import Target
from raydgp.templates.spaces import config_spaces
from raydgp.workloads import from_dict

STRATEGY = "bundle"
_ROTATED = "rotated"


@dataclass(frozen=True, eq=False)
class MergedTask:
    """A task of a bundle as it was measured in one state of the caches.

    Attributes:
        name: of the task; it ends with the state where that is not the usual one.
        space: that its records' indices are of.
        records: in the order of measuring, build failures first.
        grid: the sub-space of it that the bundle has as a whole; None where it has none.
    """

    name: str
    space: ConfigSpace
    records: list[Record]
    grid: ConfigSpace | None

    def recorded(self) -> RecordedSpace | None:
        """The task as a space that strategies can be compared on; None unless all of a grid was measured."""
        if self.grid is None:
            return None
        by_index = {record.measurement.index: record.measurement for record in self.records}
        found = []
        for place in np.flatnonzero(self.grid.valid(np.arange(self.grid.size))).tolist():
            measured = by_index.get(self.space.encode(self.grid.decode(place)))
            if measured is None:
                return None
            found.append(replace(measured, index=place))
        return RecordedSpace.of(self.name, self.grid, found) if any(m.ok for m in found) else None


@dataclass(frozen=True, eq=False)
class Merged:
    """What a bundle's results say.

    Attributes:
        target: that its kernels are for.
        device: that they were measured on.
        versions: of raydgp, TVM and what else shaped the kernels.
        measure: the `MeasureSettings` they were measured by, as JSON.
        started_unix_s: when the first measuring began.
        tasks: those with a record.
        models: latencies of its whole models, as far as they were measured.
        kernels, measured: how many the bundle has, and how many of them have a result in each state of the caches.
    """

    target: Target
    device: dict[str, Any]
    versions: dict[str, str]
    measure: dict[str, Any]
    started_unix_s: float
    tasks: list[MergedTask]
    models: list[ModelLatency]
    kernels: int
    measured: int


def merge(bundle: Path, results: Sequence[Path], run: str) -> Merged:
    """The records of all results of a bundle on one device, a kernel's first result counting.

    Args:
        results: at least one file of `raydgp bundle run`.
        run: name that the records get.

    Raises:
        InputError: the bundle or a file is damaged, of another bundle or of another device.
    """
    files = ", ".join(map(str, results))
    with form_of(f"{files}: not results of {bundle}", "give files of `raydgp bundle run`"):
        return _merged(bundle, results, run)


def _merged(bundle: Path, results: Sequence[Path], run: str) -> Merged:
    with Bundle(bundle) as opened:
        header, kernels = opened.header, [opened.kernels(task) for task in opened.header.tasks]
        parts = [_Results.read(file, opened.sha256) for file in results]
        models = model_latencies(opened, [line for part in parts for line in part.models])
    device = parts[0].device
    if others := [part.path for part in parts if part.device != device]:
        raise InputError(f"{others[0]}: of another device than {parts[0].path}; merge them one by one")
    first: dict[tuple[int, int, str], dict[str, Any]] = {}
    for part in parts:
        for line in part.lines:
            first.setdefault((line["task"], line["place"], line["caches"]), line)
    target, tasks = Target.from_dict(header.target), []
    for number, task in enumerate(header.tasks):
        space = _space(bundle, task, target)
        grid = space.restricted(task.grid) if task.grid else None
        for caches in header.caches:
            name = f"{task.name}-{_ROTATED}" if caches == _ROTATED else task.name
            context = Context(
                task=name,
                workload=task.workload,
                target=target,
                space_hash=task.space_hash,
                strategy=STRATEGY,
                seed=0,
                run=run,
            )
            ran = {place: line for (which, place, state), line in first.items() if (which, state) == (number, caches)}
            make = partial(_measurement, device=device, versions=header.versions, made_unix_s=header.made_unix_s)
            records = [
                Record(context=context, trial=trial, knobs=kernel.knobs, measurement=make(kernel, line, caches))
                for trial, (kernel, line) in enumerate(_in_order(bundle, kernels[number], ran))
            ]
            if records:
                tasks.append(MergedTask(name, space, records, grid))
    return Merged(
        target=target,
        device=device,
        versions=header.versions,
        measure=header.measure,
        started_unix_s=min(part.started_unix_s for part in parts),
        tasks=tasks,
        models=models,
        kernels=sum(map(len, kernels)) * len(header.caches),
        measured=len(first),
    )


@dataclass(frozen=True, eq=False)
class _Results:
    """A file of results: the lines of kernels, without anchors, and those of models."""

    path: Path
    device: dict[str, Any]
    started_unix_s: float
    lines: list[dict[str, Any]]
    models: list[dict[str, Any]]

    @classmethod
    def read(cls, path: Path, bundle: str) -> _Results:
        number, lines, models = 1, [], []
        try:
            text = path.read_bytes()
            header, *rest = text[: text.rfind(b"\n") + 1].splitlines() or [b""]
            said = json.loads(header)
            if said["bundle"] != bundle:
                raise InputError(f"{path}: results of another bundle; give the one that they are of")
            for line in rest:
                number += 1
                found = json.loads(line)
                if "task" in found:
                    lines.append(found)
                elif "model" in found:
                    models.append(found)
            return cls(path, dict(said["device"]), float(said["started_unix_s"]), lines, models)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}; give a file of `raydgp bundle run`") from None
        except InputError:
            raise
        except MALFORMED:
            raise InputError(f"{path}, line {number}: not a result; give a file of `raydgp bundle run`") from None


def _space(bundle: Path, task: Task, target: Target) -> ConfigSpace:
    for space in config_spaces(from_dict(task.workload), target):
        if space.hash == task.space_hash:
            return space
    raise InputError(f"{bundle}: {task.name} is of another version of {task.template}; make the bundle again")


def _in_order(
    bundle: Path, kernels: Sequence[Kernel], ran: dict[int, dict[str, Any]]
) -> Iterator[tuple[Kernel, dict[str, Any] | None]]:
    """Kernels without code, then those that ran."""
    for kernel in kernels:
        if kernel.status != "ok":
            yield kernel, None
    for place, line in ran.items():
        if not 0 <= place < len(kernels) or kernels[place].index != line["index"]:
            raise InputError(f"{bundle}: its kernels are not those of the results; give the bundle that was measured")
        yield kernels[place], line


def _measurement(
    kernel: Kernel,
    line: dict[str, Any] | None,
    caches: str,
    device: dict[str, Any],
    versions: dict[str, str],
    made_unix_s: float,
) -> Measurement:
    line = line or {"status": kernel.status, "error": kernel.error, "time_unix_s": made_unix_s}
    measured = Measurement(
        index=kernel.index,
        status=Status(line["status"]),
        times_s=tuple(map(float, line.get("times_s", ()))),
        phases=Phases(build_s=kernel.build_s, run_s=line.get("run_s", 0.0)),
        error=line["error"],
        device=device,
        versions=versions,
        time_unix_s=line["time_unix_s"],
        resources=kernel.resources,
        conditions=line.get("conditions", {}),
        caches=caches if caches == _ROTATED else "",
    )
    check_measurement(measured)
    return measured
