"""The first kernel of a compiled model that computes something else than its definition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tvm
from numpy.typing import NDArray
from tvm import relax

from raydgp.models.accuracy import relative_error
from raydgp.models.lowering import Lowered, Schedule, compile_model
from raydgp.models.machine import Machine, arrays
from raydgp.targets import Target

Array = NDArray[Any]


def first_fault(
    lowered: Lowered, target: Target, schedule: Schedule, inputs: Sequence[Array], tolerance: float
) -> str | None:
    """Name and error of the first call whose output differs from what its function gives without a schedule.

    The model is compiled twice, with and without schedules, each so that it gives the outputs of all its calls.

    Args:
        lowered: before it is compiled.
        schedule: as of `compile_model`.
        inputs: of the model.
        tolerance: largest error of an output, relative to its largest magnitude.
    """
    names, module = _opened(lowered.module)
    given = [*inputs, *lowered.parameters]
    outputs = []
    for tasks in (lowered.tasks, []):
        opened = Lowered(module, tasks, lowered.parameters)
        machine = Machine(compile_model(opened, target, schedule), target.kind)
        outputs.append(arrays(machine.call(machine.tensors(given))))
    for name, ours, plain in zip(names, *outputs, strict=True):
        if (error := relative_error(ours, plain)) > tolerance:
            return f"{name} (error {error:.2g})"
    return None


def _opened(module: tvm.IRModule) -> tuple[list[str], tvm.IRModule]:
    """The module with a `main` that gives what each of its calls gives, and the names of the functions called."""
    function = module["main"]
    found = [binding for block in function.body.blocks for binding in block.bindings]
    plain = {binding.var: relax.Var(binding.var.name, binding.var.ty) for binding in found}
    bindings = [relax.VarBinding(plain[binding.var], _renamed(binding.value, plain)) for binding in found]
    shown = [binding for binding in bindings if _called(binding.value)]
    body = relax.SeqExpr([relax.BindingBlock(bindings)], relax.Tuple([binding.var for binding in shown]))
    given = relax.TupleType([binding.var.ty for binding in shown])
    opened = module.clone()
    opened["main"] = relax.Function(function.params, body, given, function.is_pure, function.attrs)
    return [str(_called(binding.value)) for binding in shown], relax.transform.Normalize()(opened)


def _called(value: relax.Expr) -> str | None:
    """The function that a binding calls, where that gives one tensor."""
    call_tir = tvm.ir.Op.get("relax.call_tir")
    if isinstance(value, relax.Call) and value.op == call_tir and isinstance(value.ty_args[0], relax.TensorType):
        return str(value.args[0].name_hint)
    return None


def _renamed(expr: Any, names: dict[relax.Var, relax.Var]) -> Any:
    if isinstance(expr, relax.Var):
        return names.get(expr, expr)
    if isinstance(expr, relax.Tuple):
        return relax.Tuple([_renamed(part, names) for part in expr.fields])
    if isinstance(expr, relax.TupleGetItem):
        return relax.TupleGetItem(_renamed(expr.tuple_value, names), expr.index)
    if isinstance(expr, relax.Call):
        return relax.Call(expr.op, [_renamed(part, names) for part in expr.args], expr.attrs, expr.ty_args)
    return expr
