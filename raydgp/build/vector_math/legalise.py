"""TVM's intrinsics of a module written as arithmetic, of as many lanes as the schedule makes of it later.

Of float32, float16 and bfloat16; the latter two are computed in float32. Those of float64 stay calls of libm, as does
`fmod`, which no few operations compute; quotients of int64 stay scalar instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tvm
import tvm_ffi
from tvm import tirx

from raydgp.build.vector_math import circular, exponential, logarithm, rounding
from raydgp.build.vector_math.expressions import Bound, Expr, of
from raydgp.build.vector_math.power import power

_FUNCTIONS: dict[str, Callable[..., Expr]] = {
    "exp": exponential.exp,
    "exp2": exponential.exp2,
    "exp10": exponential.exp10,
    "sigmoid": exponential.sigmoid,
    "tanh": exponential.tanh,
    "sinh": exponential.sinh,
    "cosh": exponential.cosh,
    "erf": exponential.erf,
    "log": logarithm.log,
    "log2": logarithm.log2,
    "log10": logarithm.log10,
    "log1p": logarithm.log1p,
    "asinh": logarithm.asinh,
    "acosh": logarithm.acosh,
    "atanh": logarithm.atanh,
    "pow": power,
    "sin": circular.sin,
    "cos": circular.cos,
    "tan": circular.tan,
    "asin": circular.asin,
    "acos": circular.acos,
    "atan": circular.atan,
    "atan2": circular.atan2,
    "rsqrt": rounding.reciprocal_root,
    "isnan": rounding.is_nan,
    "hypot": rounding.hypotenuse,
    "copysign": rounding.copied_sign,
}
_QUOTIENTS = (
    (tirx.Div, rounding.truncated_quotient),
    (tirx.Mod, rounding.truncated_rest),
    (tirx.FloorDiv, rounding.floored_quotient),
    (tirx.FloorMod, rounding.floored_rest),
)
_NARROW = ("float16", "bfloat16")
_DIALECTS = ("tirx", "prim", "raydgp")


def legalised(function: tirx.PrimFunc) -> tirx.PrimFunc:
    """A lowered function, its loops vectorised, without calls of libm."""
    return tvm_ffi.structural_map(function, [(tirx.BufferStore, _store), (tirx.Bind, _bind)])


def _store(store: tirx.BufferStore) -> tirx.Stmt:
    bound = Bound()
    value = _rewritten(store.value, bound)
    return _after(bound, tirx.BufferStore(store.buffer, value, store.indices)) if bound.steps else store


def _bind(bind: tirx.Bind) -> tirx.Stmt:
    bound = Bound()
    value = _rewritten(bind.value, bound)
    return _after(bound, tirx.Bind(bind.var, value)) if bound.steps else bind


def _after(bound: Bound, statement: tirx.Stmt) -> tirx.Stmt:
    return tirx.SeqStmt([*bound.steps, statement])


def _rewritten(value: Expr, bound: Bound) -> Expr:
    """An expression with its functions computed before it."""

    def call(node: tvm.ir.Call) -> Expr:
        name = getattr(node.op, "name", "")
        if name == "prim.if_then_else":
            return node if hash(node) in bound.done else bound.finished(_conditional(node, bound))
        function = _FUNCTIONS.get(name.rpartition(".")[2]) if name.split(".")[0] in _DIALECTS else None
        kind = str(node.args[0].ty.dtype).partition("x")[0] if function else ""
        if function is None or kind not in ("float32", *_NARROW):
            return node
        arguments = [_rewritten(argument, bound) for argument in node.args]
        if kind in _NARROW:
            arguments = [argument.astype(of(argument, "float32")) for argument in arguments]
        result = bound(function(bound, *map(bound, arguments)))
        return result if result.ty.dtype == node.ty.dtype else result.astype(str(node.ty.dtype))

    def quotient(function: Callable[..., Expr]) -> Callable[[Any], Expr]:
        def rewritten(node: Any) -> Expr:
            """One of data; those of indices, whose divisor reads no memory, stay."""
            if not str(node.ty.dtype).startswith("int32") or not _reads(node.b):
                return node
            return bound(function(bound, bound(_rewritten(node.a, bound)), bound(_rewritten(node.b, bound))))

        return rewritten

    callbacks = [(tvm.ir.Call, call), *((kind, quotient(function)) for kind, function in _QUOTIENTS)]
    return tvm_ffi.structural_map(value, callbacks, order="pre")


def _conditional(node: tvm.ir.Call, bound: Bound) -> Expr:
    condition, *sides = node.args
    made = [_rewritten(condition, bound)]
    for needed, side in zip((made[0], tirx.Not(made[0])), sides, strict=True):
        bound.conditions.append(needed)
        made.append(_rewritten(side, bound))
        bound.conditions.pop()
    changed = any(not new.same_as(old) for new, old in zip(made, node.args, strict=True))
    return tirx.if_then_else(*made) if changed else node


def _reads(expression: Expr) -> bool:
    """Whether it reads memory."""
    found = tvm_ffi.structural_walk(expression, (tvm.ir.TensorLoad, lambda load: tvm_ffi.VisitInterrupt(load)))
    return found is not None
