"""log and what is made of it, for float32: log2, log10, log1p, asinh, acosh, atanh.

The polynomial is Cephes' (Moshier, 1992, logf.c).
"""

from __future__ import annotations

import math

from tvm import tirx

from raydgp.build.vector_math.expressions import (
    FLOAT_BITS,
    Bound,
    Expr,
    absolute,
    bits,
    from_bits,
    like,
    polynomial,
    signed,
)

_ROOT_HALF = 0x3F3504F3  # sqrt(1/2), a float32's bits
_LEAST_NORMAL = 2.0**-126
_LN2 = (0.693359375, -2.12194440e-4)  # the first has few bits: its products with exponents are exact
_LOG10_2 = (0.30102539, 4.60503906e-6)
_LARGE = 1e18  # whose square is finite, and x + 1 = x long before
_LOG = (
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)


def log(bound: Bound, x: Expr) -> Expr:
    """The natural logarithm to 2 ulp, of subnormal numbers, too."""
    exponent, f, rest = _parts(bound, x)
    return _at_the_ends(x, rest + exponent * like(x, _LN2[1]) + f + exponent * like(x, _LN2[0]))


def log2(bound: Bound, x: Expr) -> Expr:
    """To 3 ulp."""
    exponent, f, rest = _parts(bound, x)
    return _at_the_ends(x, (rest + f) * like(x, 1 / math.log(2)) + exponent)


def log10(bound: Bound, x: Expr) -> Expr:
    """To 3 ulp."""
    exponent, f, rest = _parts(bound, x)
    low = (rest + f) * like(x, 1 / math.log(10)) + exponent * like(x, _LOG10_2[1])
    return _at_the_ends(x, low + exponent * like(x, _LOG10_2[0]))


def log1p(bound: Bound, x: Expr) -> Expr:
    """log(1 + x) to 4 ulp; what rounding 1 + x loses is made up for by a factor (Kahan; HP-15C handbook, 1982)."""
    u = bound(x + like(x, 1))
    whole = bound(log(bound, u))
    mended = tirx.Select(u == like(x, 1), x, whole * (x / (u - like(x, 1))))
    return tirx.Select(u < like(x, math.inf), mended, whole)


def asinh(bound: Bound, x: Expr) -> Expr:
    """To 6 ulp."""
    a = bound(absolute(x))
    s = bound(a * a)
    near = log1p(bound, bound(a + s / (tirx.sqrt(s + like(x, 1)) + like(x, 1))))
    far = log(bound, a) + like(x, math.log(2))
    return signed(tirx.Select(a < like(x, _LARGE), near, far), x)


def acosh(bound: Bound, x: Expr) -> Expr:
    """To 6 ulp; NaN below 1."""
    t = bound(x - like(x, 1))
    near = log1p(bound, bound(t + tirx.sqrt(t * (t + like(x, 2)))))
    far = log(bound, x) + like(x, math.log(2))
    return tirx.Select(x < like(x, 1), like(x, math.nan), tirx.Select(x < like(x, _LARGE), near, far))


def atanh(bound: Bound, x: Expr) -> Expr:
    """To 6 ulp; NaN beyond 1."""
    a = bound(absolute(x))
    return signed(log1p(bound, bound((a + a) / (like(x, 1) - a))) * like(x, 0.5), x)


def _parts(bound: Bound, x: Expr) -> tuple[Expr, Expr, Expr]:
    """x as 2^exponent * (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), and log(1 + f) - f."""
    small = x < like(x, _LEAST_NORMAL)
    n = bound(bits(tirx.Select(small, x * like(x, 2.0**FLOAT_BITS), x)))
    k = bound(tirx.shift_right(n - like(n, _ROOT_HALF), like(n, FLOAT_BITS)))
    f = bound(from_bits(n - tirx.shift_left(k, like(n, FLOAT_BITS))) - like(x, 1))
    exponent = bound(k.astype(str(x.ty.dtype)) - tirx.Select(small, like(x, FLOAT_BITS), like(x, 0)))
    z = bound(f * f)
    return exponent, f, bound(polynomial(f, _LOG) * f * z - like(x, 0.5) * z)


def _at_the_ends(x: Expr, value: Expr) -> Expr:
    """A logarithm of a positive number; -infinity at 0, NaN below, infinity and NaN as they come."""
    below = tirx.Select(x == like(x, 0), like(x, -math.inf), like(x, math.nan))
    return tirx.Select(x > like(x, 0), tirx.Select(x < like(x, math.inf), value, x), below)
