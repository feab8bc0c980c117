"""What takes little arithmetic, and yet is no instruction of vectors: of floats, and quotients of integers."""

from __future__ import annotations

import math

from tvm import tirx

from raydgp.build.vector_math import expressions
from raydgp.build.vector_math.expressions import Bound, Expr, absolute, like, of, signed


def reciprocal_root(bound: Bound, x: Expr) -> Expr:
    """1 / sqrt(x) to 2 ulp; TVM's own intrinsic would not be vectorised."""
    return like(x, 1) / tirx.sqrt(x)


def is_nan(bound: Bound, x: Expr) -> Expr:
    """Whether a number is none; exact."""
    return expressions.is_nan(x)


def hypotenuse(bound: Bound, x: Expr, y: Expr) -> Expr:
    """sqrt(x^2 + y^2) to 1 ulp, by float64, in which no square overflows."""
    wide = [bound(side.astype(of(side, "float64"))) for side in (x, y)]
    root = tirx.sqrt(wide[0] * wide[0] + wide[1] * wide[1]).astype(str(x.ty.dtype))
    infinity = like(x, math.inf)
    return tirx.Select(tirx.any(absolute(x) == infinity, absolute(y) == infinity), infinity, root)


def copied_sign(bound: Bound, x: Expr, y: Expr) -> Expr:
    """|x| with the sign of y; exact."""
    return signed(absolute(x), y)


def truncated_quotient(bound: Bound, a: Expr, b: Expr) -> Expr:
    """a / b of int32 towards zero, exact: a float64 holds both, and tells their quotient from the next whole number."""
    return _wide_quotient(a, b).astype(of(a, "int32"))


def floored_quotient(bound: Bound, a: Expr, b: Expr) -> Expr:
    """The same towards minus infinity."""
    return tirx.floor(_wide_quotient(a, b)).astype(of(a, "int32"))


def truncated_rest(bound: Bound, a: Expr, b: Expr) -> Expr:
    """What `truncated_quotient` leaves."""
    a, b = bound(a), bound(b)
    return a - truncated_quotient(bound, a, b) * b


def floored_rest(bound: Bound, a: Expr, b: Expr) -> Expr:
    """What `floored_quotient` leaves."""
    a, b = bound(a), bound(b)
    return a - floored_quotient(bound, a, b) * b


def _wide_quotient(a: Expr, b: Expr) -> Expr:
    return a.astype(of(a, "float64")) / b.astype(of(b, "float64"))
