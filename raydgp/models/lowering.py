"""A packed model's kernels, how often each is called, and the model compiled with schedules for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from raydgp.build.cuda.executable import compile_executable
from raydgp.errors import InputError
from raydgp.models.packing import OPAQUE, Array, Choose, pack
from raydgp.targets.host import to_tvm
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


def lower(module: tvm.IRModule, target: dict[str, Any], choose: Choose | None = None) -> Lowered:
    """Packs, legalises and fuses an imported model.

    Args:
        target: as of `raydgp.targets.host.host_target`.
        choose: as of `pack`.
    """
    packed = pack(module, target["kind"], choose)
    with to_tvm(target):
        fused = (_FUSE if target["kind"] == "cuda" else _FUSE_FOR_VECTORS)(packed.module)
    calls = Counter(_called(fused["main"]))
    tasks = []
    for name, count in calls.items():
        if name in packed.layers:
            tasks.append(Task(name, packed.layers[name], count))
        else:
            with suppress(InputError):  # a kernel that has no space runs as it is
                tasks.append(Task(name, kernel(name, fused[name], target), count))
    return Lowered(fused, tasks, packed.parameters)


def compile_model(lowered: Lowered, target: dict[str, Any], schedule: Schedule) -> Any:
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
    if target["kind"] == "cuda":
        return compile_executable(module, target)
    return tvm.compile(module, target=to_tvm(target))


def _called(function: relax.Function) -> list[str]:
    """Names of the functions that a lowered `main` calls, in order."""
    (block,) = function.body.blocks
    return [
        binding.value.args[0].name_hint
        for binding in block.bindings
        if isinstance(binding.value, relax.Call) and binding.value.op == tvm.ir.Op.get("relax.call_tir")
    ]


@mutator
class _WrittenOut(PyExprMutator):
    """Gelu by its definition, 0.5 x (1 + erf(x / sqrt 2)): TVM's own hides the erf from `FastMathTransform`."""

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = super().visit_call_(call)
        if call.op != tvm.ir.Op.get("relax.nn.gelu"):
            return call
        x, dtype = call.args[0], call.ty.dtype
        half, one, root = (relax.const(value, dtype) for value in (0.5, 1.0, 0.5**0.5))
        return half * x * (one + relax.op.erf(x * root))


@tvm.transform.module_pass(opt_level=0)
def _write_out(module: tvm.IRModule, _: tvm.transform.PassContext) -> tvm.IRModule:
    mutated = _WrittenOut(module)
    mutated.builder_.update_func(module.get_global_var("main"), mutated.visit_expr(module["main"]))
    return mutated.builder_.get()


_FUSE = tvm.transform.Sequential(
    [
        relax.transform.LegalizeOps(),
        relax.transform.RewriteDataflowReshape(),  # what only renames a shape moves no data
        relax.transform.AnnotateTIROpPattern(),
        relax.transform.FoldConstant(),
        relax.transform.FuseOps(),
        relax.transform.FuseTIR(),
        relax.transform.DeadCodeElimination(),
    ]
)
_FUSE_FOR_VECTORS = tvm.transform.Sequential(
    [
        _write_out,
        relax.transform.FastMathTransform(),  # exp and erf as polynomials, which vectorise; a GPU has instructions
        _FUSE,
    ]
)
