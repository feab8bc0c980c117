"""A packed model's kernels, how often each is called, and the model compiled with schedules for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import tvm
from tvm import relax

from raydgp.errors import InputError
from raydgp.models.packing import OPAQUE, Array, Choose, pack
from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm
from raydgp.templates.traced.extract import kernel
from raydgp.workloads import Workload
from raydgp.workloads.zoo import Task

Schedule = Callable[[Workload], tvm.tirx.PrimFunc]


@dataclass(frozen=True, eq=False)
class Lowered:
    """A model as calls of functions without a schedule.

    Attributes:
        module: `main` takes the model's inputs, then the parameters.
        tasks: one for each distinct workload, in the order of the first call; their names are the functions'.
        parameters: arrays for the rest of `main`'s parameters.
    """

    module: tvm.IRModule
    tasks: list[Task]
    parameters: list[Array]


def lower(module: tvm.IRModule, target: Target, choose: Choose | None = None) -> Lowered:
    """Packs, legalises and fuses an imported model.

    Args:
        target: what it is for.
        choose: as of `pack`.
    """
    packed = pack(module, target, choose)
    with to_tvm(target):
        fused = target.behaviour.part("fusion")(packed.module)
    calls = Counter(_called(fused["main"]))
    tasks = []
    for name, count in calls.items():
        if name in packed.layers:
            tasks.append(Task(name, packed.layers[name], count))
        else:
            with suppress(InputError):  # a kernel that has no space runs as it is
                tasks.append(Task(name, kernel(name, fused[name], target), count))
    return Lowered(fused, tasks, packed.parameters)


def compile_model(lowered: Lowered, target: Target, schedule: Schedule) -> Any:
    """The model's executable, each function replaced by its scheduled one; `export_library` writes it.

    Functions without a task run as TVM makes them: on a CPU without a schedule, on a GPU by TVM's own rules (DLight).

    Args:
        schedule: scheduled function of a workload.

    Returns:
        TVM's executable; for a GPU a `CudaExecutable`.
    """
    module = lowered.module
    for task in lowered.tasks:
        function = schedule(task.workload).without_attr("global_symbol")
        function = function.with_attrs({"tirx.is_scheduled": True, "op_pattern": OPAQUE})
        module.update_func(module.get_global_var(task.name), function)
    return target.behaviour.part("executable")(module, target)


def _called(function: relax.Function) -> list[str]:
    """Names of the functions that a lowered `main` calls, in order."""
    (block,) = function.body.blocks
    return [
        binding.value.args[0].name_hint
        for binding in block.bindings
        if isinstance(binding.value, relax.Call) and binding.value.op == tvm.ir.Op.get("relax.call_tir")
    ]
