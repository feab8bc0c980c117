"""MetaSchedule databases as history: the records that `interchange.export` wrote, and those of other tuners.

What another tuner recorded is taken where its trace is one of the schedules that make our own space of the kernel: then
it differs from ours in nothing but its decisions, which are a configuration.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import tvm
from tvm.s_tir import Schedule, Trace
from tvm.s_tir.meta_schedule.database import Workload as Entry

from raydgp.errors import MALFORMED, InputError
from raydgp.models.interchange import ORIGIN, RECORDS, UNMEASURED_S, WORKLOADS
from raydgp.records import Context, Measurement, Quarantined, Record, Scan, Status
from raydgp.targets import Target
from raydgp.templates.spaces import config_space
from raydgp.templates.traced.extract import kernel, plain
from raydgp.templates.traced.space import configuration
from raydgp.workloads import Workload, from_dict
from raydgp.workloads.traced import TracedKernel

_TVMS = ("keys", "tag", "host", "max_num_threads")  # what TVM adds to a target's attributes


def scan(folder: Path, device: str) -> Scan:
    """Reads a database; what is no record of ours is passed over and reported by its line among the tuning records.

    Args:
        folder: of `database_workload.json` and `database_tuning_record.json`.
        device: name of the device that it was measured on, which a database does not say.

    Raises:
        InputError: one of the two files is missing.
    """
    try:
        entries = (folder / WORKLOADS).read_text().splitlines()
        lines = (folder / RECORDS).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{folder}: no MetaSchedule database ({error}); give a folder with its two files") from None
    found: list[Record] = []
    odd: list[Quarantined] = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(_record(json.loads(line), entries, folder.name, device, len(found)))
        except InputError as error:
            odd.append(Quarantined(number, str(error)))
        except MALFORMED:
            odd.append(Quarantined(number, "not a tuning record"))
    return Scan(found, odd, torn=False)


def _record(line: Any, entries: list[str], run: str, device: str, trial: int) -> Record:
    place, (trace, times_s, target, _) = line
    if not times_s or min(times_s) == UNMEASURED_S:
        raise InputError("not measured")
    target = Target.from_dict({key: value for key, value in target.items() if key not in _TVMS})
    origin = next(_origins(trace), None)
    workload, index = _ours(origin) if origin else _theirs(trace, entries[place], target)
    space = config_space(workload, target)
    if origin and space.hash != origin["space_hash"]:
        raise InputError(f"of another version of {space.template}")
    failed = max(times_s) >= UNMEASURED_S  # TVM's 1e10
    measurement = Measurement(
        index=index,
        status=Status.RUN_ERROR if failed else Status.OK,
        times_s=() if failed else tuple(times_s),
        error="MetaSchedule could not build or run it" if failed else "",
        device={"kind": target.kind, "name": device},
    )
    context = Context(
        task=str(workload),
        workload=workload.to_dict(),
        target=target,
        space_hash=space.hash,
        strategy="raydgp" if origin else "metaschedule",
        seed=0,
        run=run,
    )
    return Record(
        context=context, trial=trial, knobs=json.loads(json.dumps(space.decode(index))), measurement=measurement
    )


def _origins(trace: Any) -> Iterator[dict[str, Any]]:
    """What `export` noted in a trace; TVM puts quotation marks around a text."""
    for name, inputs, attributes, _ in trace[0]:
        if name == "Annotate" and attributes == [ORIGIN]:
            yield json.loads(inputs[1][1:-1])


def _ours(origin: dict[str, Any]) -> tuple[Workload, int]:
    return from_dict(origin["workload"]), int(origin["index"])


def _theirs(trace: Any, entry: str, target: Target) -> tuple[Workload, int]:
    """The kernel of a database's workload and the configuration that a trace of it is.

    Raises:
        InputError: no schedule of ours has these instructions, or it is no kernel that has a space.
    """
    module, workload = _kernel(entry, target)
    schedule = Schedule(module, debug_mask=0, error_render_level="none")
    try:
        Trace.apply_json_to_schedule(trace, schedule)
    except (RuntimeError, TypeError, ValueError):
        raise InputError("its trace does not fit its kernel") from None
    knobs = configuration(workload, plain(schedule.trace.simplified(remove_postproc=True).as_json()))
    return workload, config_space(workload, target).encode(knobs)


@lru_cache(maxsize=64)
def _kernel(entry: str, target: Target) -> tuple[tvm.IRModule, TracedKernel]:
    """A line of the workloads as TVM's module and as a workload of ours, named by its blocks: its own name is lost."""
    if target.cores is None:
        raise InputError("only records of llvm targets with num-cores have a space here")
    try:
        module = Entry.from_json(json.loads(entry)).mod
        schedule = Schedule(module, debug_mask=0)
        blocks = schedule.get_child_blocks(schedule.get_sblock("root"))
        name = "_".join(schedule.get(block).name_hint for block in blocks)
        return module, kernel(name, module["main"], target)
    except InputError:
        raise
    except (RuntimeError, TypeError, ValueError):
        raise InputError("its workload cannot be read") from None
