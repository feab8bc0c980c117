"""A model's activations in the layouts that they are needed in, and what happens between layers on blocked ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tvm import relax, topi
from tvm.ir import is_prim_var

from raydgp.models.relax_reading import constant, operator, shape_of

_UNARY = {"nn.relu", "clip", "sigmoid", "tanh", "nn.silu", "nn.gelu", "exp", "negative"}
_BINARY = {"add", "subtract", "multiply", "divide", "maximum", "minimum"}
_INFINITE = {"divide", "exp"}  # what may be infinite or no number where the operands are 0, or the exponent large
_POOLS = {"nn.max_pool2d": "max", "nn.avg_pool2d": "avg"}


@dataclass
class Value:
    """A tensor of the model in the layouts it has been needed in. Blocked is [n, outer, h, w, block].

    Attributes:
        finite: whether what fills the last block is finite, so that layers whose weights there are 0 may read it.
    """

    shape: tuple[int, ...]
    plain: relax.Expr | None = None
    blocked: relax.Expr | None = None
    block: int = 0
    finite: bool = True

    @property
    def whole(self) -> bool:
        """Whether no block holds a channel that the tensor has not."""
        return self.block > 0 and self.shape[1] % self.block == 0


@dataclass
class Activations:
    """The tensors of a function that is being rewritten.

    Attributes:
        builder: of the new function.
        values: by variable of the old one.
        functions: of the new module, by those of the old one.
    """

    builder: relax.BlockBuilder = field(default_factory=relax.BlockBuilder)
    values: dict[relax.Var, Value] = field(default_factory=dict)
    functions: dict[relax.GlobalVar, relax.GlobalVar] = field(default_factory=dict)

    def substituted(self, expr: Any) -> Any:
        """An expression of the old function on plain arrays of the new one."""
        if isinstance(expr, relax.Var):
            return self.plain(self.values[expr])
        if isinstance(expr, relax.GlobalVar):
            return self.functions[expr]
        if isinstance(expr, relax.Tuple):
            return relax.Tuple([self.substituted(part) for part in expr.fields])
        if isinstance(expr, relax.TupleGetItem):
            return relax.TupleGetItem(self.substituted(expr.tuple_value), expr.index)
        if isinstance(expr, relax.Call):
            return relax.Call(expr.op, [self.substituted(a) for a in expr.args], expr.attrs, expr.ty_args)
        return expr

    def plain(self, value: Value) -> relax.Expr:
        """The value as the model has it."""
        if value.plain is None:
            n, c, h, w = value.shape
            x, emit = value.blocked, self.builder.emit
            if h * w > 1:
                x = emit(relax.op.permute_dims(x, [0, 1, 4, 2, 3]))
            outer = -(-c // value.block)
            x = emit(relax.op.reshape(x, (n, outer * value.block, h, w)))
            value.plain = x if value.whole else emit(relax.op.strided_slice(x, [1], [0], [c]))
        return value.plain

    def blocked(self, value: Value, block: int) -> relax.Expr:
        """The value in blocks of channels; kept where it is the first blocking the tensor has."""
        if value.block == block and (value.whole or value.finite):
            return value.blocked
        n, c, h, w = value.shape
        x, emit, missing = self.plain(value), self.builder.emit, -c % block
        if missing:
            x = emit(relax.op.nn.pad(x, [0, 0, 0, missing, 0, 0, 0, 0]))
        x = emit(relax.op.reshape(x, (n, (c + missing) // block, block, h, w)))
        x = emit(relax.op.permute_dims(x, [0, 1, 3, 4, 2]))
        if value.blocked is None:
            value.blocked, value.block = x, block
        return x

    def other(self, call: relax.Expr) -> Value:
        """What computes a call that is no layer: on blocked arrays where that is simple, else on plain ones."""
        single = isinstance(call.ty, relax.TensorType)  # rather than a tuple of them
        value = self._on_blocks(call) if single and operator(call) else None
        if value is None:
            plain = self.builder.emit(self.substituted(call))
            return Value(shape_of(plain) if _fixed(plain) else (), plain=plain)
        return value

    def _on_blocks(self, call: relax.Call) -> Value | None:
        name, emit = operator(call), self.builder.emit
        read = call.args[0].fields if name == "concat" else [a for a in call.args if isinstance(a, relax.Var)]
        values = [self.values[var] for var in read if isinstance(var, relax.Var)]
        block = values[0].block if values else 0
        if not block or any(v.blocked is None or v.block != block for v in values):
            return None
        (x, *_), shape = [v.blocked for v in values], shape_of(call)
        finite = all(v.finite for v in values) and name not in _INFINITE
        if name in _UNARY:
            blocked = emit(relax.Call(call.op, [x, *call.args[1:]], call.attrs))
            return Value(shape, blocked=blocked, block=block, finite=finite)
        if name in _BINARY:
            sides = [self._side(a, block, shape) for a in call.args]
            blocked = None if None in sides else emit(relax.Call(call.op, sides, call.attrs))
            return Value(shape, blocked=blocked, block=block, finite=finite) if blocked is not None else None
        if name == "concat" and int(call.attrs.axis) == 1 and all(v.whole for v in values) and len(values) == len(read):
            return Value(shape, blocked=emit(relax.op.concat([v.blocked for v in values], 1)), block=block)
        if name in _POOLS and call.attrs.layout == "NCHW":
            return Value(shape, blocked=self._pool(call, x, block), block=block, finite=finite)
        if name == "nn.adaptive_avg_pool2d" and shape == values[0].shape:
            return values[0]
        axes = sorted(int(a) % 4 for a in call.attrs.axis) if name == "mean" and call.attrs.axis else []
        if (axes == [2, 3] and call.attrs.keepdims) or (name == "nn.adaptive_avg_pool2d" and shape[2:] == (1, 1)):
            return Value(shape, blocked=emit(relax.op.mean(x, [2, 3], True)), block=block, finite=finite)
        return None

    def _side(self, argument: relax.Expr, block: int, shape: tuple[int, ...]) -> relax.Expr | None:
        """An operand of an elementwise call as it meets a blocked one; None where it cannot."""
        array = constant(argument)
        if array is None:
            value = self.values[argument]
            return value.blocked if value.shape in (shape, (*shape[:2], 1, 1)) else None  # the latter for all pixels
        if array.size == 1:
            return relax.const(array.reshape(()))
        if array.shape != (1, shape[1], 1, 1):
            return None
        missing = [(0, 0), (0, -shape[1] % block), (0, 0), (0, 0)]
        return relax.const(np.pad(array, missing, constant_values=1).reshape(1, -1, 1, 1, block))

    def _pool(self, call: relax.Call, x: relax.Expr, block: int) -> relax.Expr:
        attrs, pairs = call.attrs, ("pool_size", "strides", "dilation", "padding")
        kernel, stride, dilation, padding = (tuple(int(v) for v in getattr(attrs, key)) for key in pairs)
        options = {"ceil_mode": bool(attrs.ceil_mode), "layout": f"NCHW{block}c"}
        if "avg" in operator(call):
            options["count_include_pad"] = bool(attrs.count_include_pad)
        kind = _POOLS[operator(call)]
        return self.builder.emit_te(topi.nn.pool2d, x, kernel, stride, dilation, padding, kind, **options)


def _fixed(value: relax.Expr) -> bool:
    """Whether it is a tensor of a fixed shape, as all are that TVM computes; what runs beside it may give others."""
    shape = value.ty.shape if isinstance(value.ty, relax.TensorType) else None
    return shape is not None and not any(is_prim_var(extent) for extent in shape)
