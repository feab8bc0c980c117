"""A model's activations in the layouts that they are needed in, and what happens between layers on blocked ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import gcd
from typing import Any

import numpy as np
from tvm import relax, te, topi
from tvm.ir import is_prim_var

from raydgp.models.relax_reading import constant, operator, shape_of
from raydgp.models.transposed import SHUFFLE

_UNARY = {"nn.relu", "clip", "sigmoid", "tanh", "nn.silu", "nn.gelu", "exp", "negative"}
_BINARY = {"add", "subtract", "multiply", "divide", "maximum", "minimum"}
_INFINITE = {"divide", "exp"}  # what may be infinite or no number where the operands are 0, or the exponent large
_NARROWEST = 4  # channels of a block that is worth having
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
        calls: what binds the variables of the old function.
    """

    builder: relax.BlockBuilder = field(default_factory=relax.BlockBuilder)
    values: dict[relax.Var, Value] = field(default_factory=dict)
    functions: dict[relax.GlobalVar, relax.GlobalVar] = field(default_factory=dict)
    calls: dict[relax.Var, relax.Expr] = field(default_factory=dict)

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
        if value.plain is None and value.whole and (x := self._in_other_blocks(value, block)) is not None:
            return x
        n, c, h, w = value.shape
        x, emit, missing = self.plain(value), self.builder.emit, -c % block
        if missing:
            x = emit(relax.op.nn.pad(x, [0, 0, 0, missing, 0, 0, 0, 0]))
        x = emit(relax.op.reshape(x, (n, (c + missing) // block, block, h, w)))
        x = emit(relax.op.permute_dims(x, [0, 1, 3, 4, 2]))
        if value.blocked is None:
            value.blocked, value.block = x, block
        return x

    def _in_other_blocks(self, value: Value, block: int) -> relax.Expr | None:
        """The same channels in blocks that are a multiple or a part of those that there are; None for any others."""
        (n, c, h, w), have, emit = value.shape, value.block, self.builder.emit
        if c % block or (have % block and block % have):
            return None
        if have > block:
            x = emit(relax.op.reshape(value.blocked, (n, c // have, h, w, have // block, block)))
            x = emit(relax.op.permute_dims(x, [0, 1, 4, 2, 3, 5]))
        else:
            x = emit(relax.op.reshape(value.blocked, (n, c // block, block // have, h, w, have)))
            x = emit(relax.op.permute_dims(x, [0, 1, 3, 4, 2, 5]))
        return emit(relax.op.reshape(x, (n, c // block, h, w, block)))

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
        if name == "concat":
            return self._concatenated(call)
        if name == "reshape":
            return self._shuffled(call)
        values = [self.values[a] for a in call.args if isinstance(a, relax.Var)]
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
        if name == "take" and call.attrs.axis in (2, 3) and _is_line(call.args[1]):  # of rows or columns, as to resize
            blocked = emit(relax.op.take(x, call.args[1], int(call.attrs.axis), mode=call.attrs.mode))
            return Value(shape, blocked=blocked, block=block, finite=finite)
        if name == "nn.pad" and not any(call.attrs.pad_width[:4]):
            widths = [*(int(width) for width in call.attrs.pad_width), 0, 0]
            blocked = emit(relax.op.nn.pad(x, widths, call.attrs.pad_mode, float(call.attrs.pad_value)))
            return Value(shape, blocked=blocked, block=block, finite=finite)
        if name in _POOLS and call.attrs.layout == "NCHW":
            return Value(shape, blocked=self._pool(call, x, block), block=block, finite=finite)
        if name == "nn.adaptive_avg_pool2d" and shape == values[0].shape:
            return values[0]
        axes = sorted(int(a) % 4 for a in call.attrs.axis) if name == "mean" and call.attrs.axis else []
        if (axes == [2, 3] and call.attrs.keepdims) or (name == "nn.adaptive_avg_pool2d" and shape[2:] == (1, 1)):
            return Value(shape, blocked=emit(relax.op.mean(x, [2, 3], True)), block=block, finite=finite)
        return None

    def _concatenated(self, call: relax.Call) -> Value | None:
        """Channels one after the other, in blocks that all parts fit, where most of them are blocked already."""
        shape, read = shape_of(call), call.args[0].fields
        values = [self.values[var] for var in read if isinstance(var, relax.Var)]
        if len(shape) != 4 or int(call.attrs.axis) % 4 != 1 or len(values) != len(read):
            return None
        block = min((value.block for value in values if value.block), default=0)
        blocked = sum(value.shape[1] for value in values if value.block)
        if not block or 2 * blocked < shape[1] or any(value.shape[1] % block for value in values):
            return None
        parts = [self.blocked(value, block) for value in values]
        return Value(shape, blocked=self.builder.emit(relax.op.concat(parts, 1)), block=block)

    def _shuffled(self, call: relax.Call) -> Value | None:
        """The last step of a transposed convolution (`raydgp.models.transposed`) on blocks of output channels."""
        permuted: Any = self.calls.get(call.args[0])
        if operator(permuted) != "permute_dims" or tuple(map(int, permuted.attrs.axes or ())) != SHUFFLE:
            return None
        grouped: Any = self.calls.get(permuted.args[0])
        value = self.values.get(grouped.args[0]) if operator(grouped) == "reshape" else None
        if value is None or not value.block or not value.whole or len(value.shape) != 4:
            return None
        (n, high, wide, channels, h, w), shape = shape_of(permuted.args[0]), shape_of(call)
        if value.shape != (n, high * wide * channels, h, w) or shape != (n, channels, h * high, w * wide):
            return None
        block = gcd(value.block, channels)
        if block < _NARROWEST:
            return None

        def compute(data: te.Tensor) -> te.Tensor:
            def element(n: Any, outer: Any, y: Any, x: Any, inner: Any) -> Any:
                channel = ((y % high) * wide + x % wide) * channels + outer * block + inner
                return data[n, channel // value.block, y // high, x // wide, channel % value.block]

            return te.compute((n, channels // block, *shape[2:], block), element, name="shuffle")

        blocked = self.builder.emit_te(compute, value.blocked, primfunc_name_hint="shuffle")
        return Value(shape, blocked=blocked, block=block, finite=value.finite)

    def _side(self, argument: relax.Expr, block: int, shape: tuple[int, ...]) -> relax.Expr | None:
        """An operand of an elementwise call as it meets a blocked one; None where it cannot."""
        array = constant(argument)
        if array is None:
            value = self.values[argument]
            return value.blocked if value.shape in (shape, (*shape[:2], 1, 1)) else None  # the latter for all pixels
        if array.size == 1:
            return relax.const(array.reshape(()))
        if array.ndim == 4 and array.shape[:2] == (1, 1):  # for all channels
            return relax.const(array[..., None])
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


def _is_line(indices: relax.Expr) -> bool:
    """Whether indices are known and along one axis, so that what they pick has as many axes as before."""
    array = constant(indices)
    return array is not None and array.ndim == 1


def _fixed(value: relax.Expr) -> bool:
    """Whether it is a tensor of a fixed shape, as all are that TVM computes; what runs beside it may give others."""
    shape = value.ty.shape if isinstance(value.ty, relax.TensorType) else None
    return shape is not None and not any(is_prim_var(extent) for extent in shape)
