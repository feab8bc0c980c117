"""A packed model's kernels, how often each is called, and the model compiled with schedules for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import tvm
from tvm import relax

from raydgp.errors import InputError
from raydgp.models.fusion import FUSE
from raydgp.models.packing import OPAQUE, Array, Choose, pack
from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm
from raydgp.templates.traced.extract import kernel
from raydgp.workloads import Workload
from raydgp.workloads.zoo import Task

_CALL_TIR = tvm.ir.Op.get("relax.call_tir")
_NO_KERNELS = {"relax.call_pure_packed", "relax.reshape"}  # what runs beside TVM, and what moves no data

Schedule = Callable[[Workload], tvm.tirx.PrimFunc]


@dataclass(frozen=True)
class Entry:
    """A function of a model that is called from outside.

    Attributes:
        function: its name; it takes the model's inputs, then the parameters.
        parameters: which of the model's, by number.
    """

    function: str
    parameters: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Lowered:
    """A model as calls of functions without a schedule.

    Attributes:
        module: `main` takes the model's inputs, then the parameters.
        tasks: one for each distinct workload, in the order of the first call; their names are the functions'.
        parameters: arrays for the rest of `main`'s parameters.
        unscheduled: functions and operators that no schedule is searched for, and how often they are called.
        entries: of the sizes that it is for, where there are several (`raydgp.models.joining`).
    """

    module: tvm.IRModule
    tasks: list[Task]
    parameters: list[Array]
    unscheduled: dict[str, int] = field(default_factory=dict)
    entries: tuple[Entry, ...] = ()

    @property
    def first(self) -> int:
        """How many of the parameters `main` takes; they are the first ones."""
        return len(self.entries[0].parameters) if self.entries else len(self.parameters)


def lower(module: tvm.IRModule, target: Target, choose: Choose | None = None) -> Lowered:
    """Packs, legalises and fuses an imported model.

    Args:
        target: what it is for.
        choose: as of `pack`.
    """
    packed = pack(module, target, choose)
    with to_tvm(target):
        fused = FUSE(packed.module)
    operators = _operators(fused["main"])
    calls = Counter(name for _, name in operators if name)
    tasks = []
    unscheduled = Counter(op.removeprefix("relax.") for op, name in operators if not name and op not in _NO_KERNELS)
    for name, count in calls.items():
        if name in packed.layers:
            tasks.append(Task(name, packed.layers[name], count))
            continue
        try:
            tasks.append(Task(name, kernel(name, fused[name], target), count))
        except InputError:  # a kernel that has no space runs as it is
            unscheduled[name] = count
    return Lowered(fused, tasks, packed.parameters, unscheduled)


def compile_model(lowered: Lowered, target: Target, schedule: Schedule) -> Any:
    """The model's executable, each function replaced by its scheduled one; `export_library` writes it.

    Functions without a task run as TVM makes them: on a CPU without a schedule, on a GPU by TVM's own rules (DLight).

    Args:
        schedule: scheduled function of a workload.

    Returns:
        TVM's executable; for a GPU a `CudaExecutable`.
    """
    module = lowered.module.clone()
    for task in lowered.tasks:
        function = schedule(task.workload).without_attr("global_symbol")
        function = function.with_attrs({"tirx.is_scheduled": True, "op_pattern": OPAQUE})
        module.update_func(module.get_global_var(task.name), function)
    return target.behaviour.part("executable")(module, target)


def _operators(function: relax.Function) -> list[tuple[str, str]]:
    """The operators that a lowered `main` calls, in order, each with the function that it is given, if any."""
    values = [binding.value for block in function.body.blocks for binding in block.bindings]
    return [
        (call.op.name, call.args[0].name_hint if call.op == _CALL_TIR else "")
        for call in values
        if isinstance(call, relax.Call) and isinstance(call.op, tvm.ir.Op)
    ]
