"""Circular functions of float32 and their inverses.

Polynomials are those of Cephes (Moshier, 1992, sinf.c, asinf.c, atanf.c). Angles are reduced in float64 (Cody and
Waite, Software Manual for the Elementary Functions, 1980), so that sines and cosines are right up to 10^8; beyond, they
lose digits and stay within -1 and 1.
"""

from __future__ import annotations

import math

from tvm import tirx

from raydgp.build.vector_math.expressions import (
    Bound,
    Expr,
    absolute,
    bits,
    clamped,
    like,
    of,
    polynomial,
    signed,
)

_ROUNDING = 1.5 * 2.0**52
_HALF_PI = (1.5707963109016418, 1.5893254773528196e-08)  # the first has 26 bits: its products with 2^26 are exact
_SIN = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_COS = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_ASIN = (4.2163199048e-2, 2.4181311049e-2, 4.5470025998e-2, 7.4953002686e-2, 1.6666752422e-1)
_ATAN = (8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1)


def sin(bound: Bound, x: Expr) -> Expr:
    """To 2 ulp, and 2^-24 near its zeros."""
    s, c, quadrant = _reduced(bound, x)
    return _turned(tirx.Select(_bit(quadrant, 1), c, s), _bit(quadrant, 2))


def cos(bound: Bound, x: Expr) -> Expr:
    """To 2 ulp, and 2^-24 near its zeros."""
    s, c, quadrant = _reduced(bound, x)
    return _turned(tirx.Select(_bit(quadrant, 1), s, c), _bit(quadrant + like(quadrant, 1), 2))


def tan(bound: Bound, x: Expr) -> Expr:
    """To 4 ulp, and 2^-24 near its zeros."""
    s, c, quadrant = _reduced(bound, x)
    odd = _bit(quadrant, 1)
    return _turned(tirx.Select(odd, c, s) / tirx.Select(odd, s, c), odd)


def asin(bound: Bound, x: Expr) -> Expr:
    """To 4 ulp; NaN beyond 1."""
    a = bound(absolute(x))
    small, of_small = _asin_of_half(bound, a)
    return signed(tirx.Select(small, of_small, like(x, math.pi / 2) - of_small - of_small), x)


def acos(bound: Bound, x: Expr) -> Expr:
    """To 4 ulp; NaN beyond 1."""
    small, of_small = _asin_of_half(bound, bound(absolute(x)))
    near, far = signed(of_small, x), bound(of_small + of_small)
    outer = tirx.Select(x > like(x, 0), far, like(x, math.pi) - far)
    return tirx.Select(small, like(x, math.pi / 2) - near, outer)


def atan(bound: Bound, x: Expr) -> Expr:
    """To 4 ulp."""
    a = bound(absolute(x))
    large, middle = a > like(x, math.tan(3 * math.pi / 8)), a > like(x, math.tan(math.pi / 8))
    one = like(x, 1)
    up = tirx.Select(large, like(x, -1), tirx.Select(middle, a - one, a))
    r = bound(up / tirx.Select(large, a, tirx.Select(middle, a + one, one)))
    base = tirx.Select(large, like(x, math.pi / 2), tirx.Select(middle, like(x, math.pi / 4), like(x, 0)))
    z = bound(r * r)
    return signed(base + (polynomial(z, _ATAN) * z * r + r), x)


def atan2(bound: Bound, y: Expr, x: Expr) -> Expr:
    """To 6 ulp, with the values of C99 where both are zero or infinite."""
    a, b = bound(absolute(y)), bound(absolute(x))
    both = tirx.all(a == b, tirx.any(a == like(x, math.inf), a == like(x, 0)))
    ends = tirx.Select(a == like(x, 0), like(x, 0), like(x, 1))
    angle = bound(atan(bound, bound(tirx.Select(both, ends, a / b))))
    left = bits(x) < like(bits(x), 0)
    return signed(tirx.Select(left, like(x, math.pi) - angle, angle), y)


def _reduced(bound: Bound, x: Expr) -> tuple[Expr, Expr, Expr]:
    """Sine and cosine of x less `quadrant` quarters of a turn, the two low bits of an int32."""
    wide = bound(x.astype(of(x, "float64")))
    shifted = bound(wide * like(wide, 2 / math.pi) + like(wide, _ROUNDING))
    n = bound(shifted - like(wide, _ROUNDING))
    rest = wide - n * like(wide, _HALF_PI[0]) - n * like(wide, _HALF_PI[1])
    r = clamped(bound, rest.astype(of(x, "float32")), -math.pi / 4, math.pi / 4)
    quadrant = bound(bits(shifted).astype(of(x, "int32")))
    z = bound(r * r)
    s = bound(polynomial(z, _SIN) * z * r + r)
    c = bound(polynomial(z, _COS) * z * z - like(x, 0.5) * z + like(x, 1))
    return s, c, quadrant


def _bit(n: Expr, mask: int) -> Expr:
    return tirx.bitwise_and(n, like(n, mask)) != like(n, 0)


def _turned(value: Expr, negated: Expr) -> Expr:
    return tirx.Select(negated, like(value, 0) - value, value)


def _asin_of_half(bound: Bound, a: Expr) -> tuple[Expr, Expr]:
    """Whether 0 <= a <= 1/2, and then its arcsine; else that of sqrt((1 - a) / 2)."""
    small = a <= like(a, 0.5)
    z = bound(tirx.Select(small, a * a, (like(a, 1) - a) * like(a, 0.5)))
    root = bound(tirx.Select(small, a, tirx.sqrt(z)))
    return small, bound(polynomial(z, _ASIN) * z * root + root)
