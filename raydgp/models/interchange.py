"""What a model's kernels have been tuned to, written so that TVM can use it without us: a MetaSchedule database."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

import tvm
from tvm.s_tir import Schedule
from tvm.s_tir.meta_schedule.arg_info import ArgInfo
from tvm.s_tir.meta_schedule.database import JSONDatabase, TuningRecord

from raydgp.models.folder import write_example
from raydgp.models.lowering import Lowered
from raydgp.records.manifest import write_atomically
from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm
from raydgp.templates.base import LayerTemplate
from raydgp.templates.registry import template_for
from raydgp.templates.spaces import config_space
from raydgp.workloads import Workload

MODULE, EXAMPLE, WORKLOADS, RECORDS = (
    "model.json",
    "apply_database.py",
    "database_workload.json",
    "database_tuning_record.json",
)
ORIGIN = "raydgp.configuration"  # annotation of a function's root block, which lowering drops
UNMEASURED_S = 1e9  # TVM takes no record without a time: any other one of the kernel is better than this

_NORMALISE = "tvm.s_tir.meta_schedule.normalize_mod"  # MetaSchedule's own, by which it looks functions up
_PURPOSE = "Compiles the model of this folder with the schedules of its MetaSchedule database, by TVM alone."
_LOAD = """from tvm.s_tir.meta_schedule.database import JSONDatabase

here = Path(__file__).parent
target = tvm.target.Target({target}{host})
with target, JSONDatabase(work_dir=str(here)):
    module = tvm.ir.load_json((here / "{module}").read_text())
    module = relax.transform.MetaScheduleApplyDatabase(enable_warning=True)(module)
model = relax.VirtualMachine(tvm.compile(module, target=target), device)"""
_HOST = ', host={"kind": "llvm"}'  # of a GPU


def export(
    folder: Path,
    lowered: Lowered,
    target: Target,
    index_of: Callable[[Workload], int],
    seconds_of: Callable[[Workload], float | None],
) -> None:
    """Writes the model without schedules, a database with one record for each kernel, and an example of their use.

    A record's trace says in an annotation which configuration it is, so that `databases.scan` knows it again.
    Kernels that have no space have no record: TVM warns of them and runs them as they are, as we do.

    Args:
        folder: of the deployed model, which has the parameters and the sample; its database is written anew.
        lowered: before it is compiled.
        target: what it is for.
        index_of: the configuration of a workload.
        seconds_of: of one call with it; None where it was not measured.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (WORKLOADS, RECORDS):
        (folder / name).unlink(missing_ok=True)  # TVM would add to it
    database, normalised = JSONDatabase(work_dir=str(folder)), tvm.get_global_func(_NORMALISE)
    for task in lowered.tasks:
        module = normalised(lowered.module[task.name])
        schedule = _schedule(task.workload, index_of(task.workload), module, target)
        seconds = seconds_of(task.workload) or UNMEASURED_S
        entry, arguments = database.commit_workload(module), ArgInfo.from_entry_func(module)
        database.commit_tuning_record(TuningRecord(schedule.trace, entry, [seconds], to_tvm(target), arguments))
    write_atomically(folder / MODULE, tvm.ir.save_json(lowered.module))
    kind = target.behaviour
    load = _LOAD.format(target=kind.tvm(target), host=_HOST if kind.tvm_host() else "", module=MODULE)
    write_example(folder / EXAMPLE, _PURPOSE, load, target.kind, target.cores or 1, lowered.first)


def _schedule(workload: Workload, index: int, module: tvm.IRModule, target: Target) -> Schedule:
    """The kernel as the model has it, scheduled by our trace."""
    space = config_space(workload, target)
    ours = cast(LayerTemplate, template_for(space)).scheduled(workload, space.decode(index), target)
    schedule = Schedule(module, debug_mask=0)
    ours.trace.apply_to_schedule(schedule, remove_postproc=False)
    origin = {"workload": workload.to_dict(), "space_hash": space.hash, "index": index}
    schedule.annotate(schedule.get_sblock("root"), ORIGIN, json.dumps(origin))
    return schedule
