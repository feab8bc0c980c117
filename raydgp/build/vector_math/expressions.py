"""What functions are written with: values that are used more than once, polynomials, the bits of a float."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import tvm
from tvm import tirx

Expr = Any
FLOAT_BITS = 23  # of a float32's mantissa


@dataclass
class Bound:
    """Values that are used more than once, each computed once, into a variable in memory that LLVM makes a register.

    TVM's own variables would not do: its analysis writes out what they stand for, whose length grows exponentially.

    Attributes:
        conditions: under which values are needed; what is not is taken to be 0, as it may read what is not there.
        done: conditionals that are rewritten, by their hash. TVM goes on within what it is given in place of another:
            one within the other, as a concatenation of many is, would be done twice as often with each.
    """

    conditions: list[Expr] = field(default_factory=list)
    steps: list[tirx.Stmt] = field(default_factory=list)
    done: dict[int, Expr] = field(default_factory=dict)
    _loads: dict[int, Expr] = field(default_factory=dict)

    def __call__(self, value: Expr) -> Expr:
        """The variable, or the value itself where it is a constant or has a variable already."""
        if isinstance(value, tirx.FloatImm | tvm.ir.Var) or id(value) in self._loads:
            return value
        for condition in reversed(self.conditions):
            value = tirx.if_then_else(condition, value, like(value, 0))
        buffer = tirx.decl_buffer((1,), value.ty, name="m", scope="global")
        self.steps += [tirx.AllocBuffer(buffer), tirx.BufferStore(buffer, value, [0])]
        load = buffer[0]
        self._loads[id(load)] = load
        return load

    def finished(self, conditional: Expr) -> Expr:
        """The same, known to be done."""
        self.done[hash(conditional)] = conditional
        return conditional


def like(x: Expr, value: float) -> Expr:
    """A constant of the type and the lanes of an expression."""
    return tirx.const(value, str(x.ty.dtype))


def of(x: Expr, kind: str) -> str:
    """Another type with the lanes of an expression: `int32` for a `float32x8` is `int32x8`."""
    _, lanes, count = str(x.ty.dtype).partition("x")
    return f"{kind}{lanes}{count}"


def bits(x: Expr) -> Expr:
    """A float32's bits as int32, a float64's as int64."""
    return tirx.reinterpret(of(x, "int64" if str(x.ty.dtype).startswith("float64") else "int32"), x)


def from_bits(n: Expr) -> Expr:
    """The inverse of `bits`."""
    return tirx.reinterpret(of(n, "float64" if str(n.ty.dtype).startswith("int64") else "float32"), n)


def polynomial(x: Expr, coefficients: Sequence[float]) -> Expr:
    """By Horner's rule, the highest power's coefficient first."""
    value = like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + like(x, coefficient)
    return value


def absolute(x: Expr) -> Expr:
    """|x| of a float32, by its bits: no operator of TVM does it without a branch or a call."""
    n = bits(x)
    return from_bits(tirx.bitwise_and(n, like(n, 0x7FFFFFFF)))


def signed(magnitude: Expr, x: Expr) -> Expr:
    """A float32 that is not negative, with the sign of x."""
    n, m = bits(x), bits(magnitude)
    return from_bits(tirx.bitwise_or(m, tirx.bitwise_and(n, like(n, -0x80000000))))


def clamped(bound: Bound, x: Expr, low: float, high: float) -> Expr:
    """x within bounds; NaN stays NaN, which TVM's own `max` and `min` need not keep."""
    x = bound(x)
    x = bound(tirx.Select(x < like(x, low), like(x, low), x))
    return bound(tirx.Select(x > like(x, high), like(x, high), x))


def is_nan(x: Expr) -> Expr:
    """Of a float32, by its bits: TVM takes any x to be equal to itself."""
    n = bits(x)
    return tirx.bitwise_and(n, like(n, 0x7FFFFFFF)) > like(n, 0x7F800000)
