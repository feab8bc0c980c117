"""Powers of float32, by logarithm and exponential in float64, as the exponent multiplies the logarithm's error."""

from __future__ import annotations

import math

from tvm import tirx

from raydgp.build.vector_math.expressions import (
    Bound,
    Expr,
    absolute,
    bits,
    clamped,
    from_bits,
    is_nan,
    like,
    of,
    polynomial,
)

_BITS, _BIAS = 52, 1023  # of a float64's mantissa, and of its exponent
_ROOT_HALF = 0x3FE6A09E667F3BCD  # sqrt(1/2), a float64's bits
_ROUNDING = 1.5 * 2**_BITS
_ATANH = tuple(2 / math.log(2) / k for k in (15, 13, 11, 9, 7, 5, 3, 1))  # log2((1 + s) / (1 - s)) / s, in s^2
_EXP = tuple(math.log(2) ** k / math.factorial(k) for k in range(9, -1, -1))  # 2^r


def power(bound: Bound, x: Expr, y: Expr) -> Expr:
    """x^y to 1 ulp, with the values of C99 at zeros, infinities and negative numbers."""
    if (plain := _by_products(bound, x, y)) is not None:
        return plain
    x, y = bound(x), bound(y)
    a = bound(absolute(x))
    zero, one, infinity = like(x, 0), like(x, 1), like(x, math.inf)
    logarithm = _log2(bound, bound(a.astype(of(x, "float64"))))
    logarithm = tirx.Select(a == zero, like(logarithm, -math.inf), logarithm)
    logarithm = tirx.Select(a == infinity, like(logarithm, math.inf), logarithm)
    product = bound(logarithm * y.astype(of(x, "float64")))
    product = tirx.Select(tirx.any(a == one, y == zero), like(product, 0), product)
    magnitude = bound(_exp2(bound, clamped(bound, product, -160.0, 140.0)).astype(of(x, "float32")))
    magnitude = tirx.Select(tirx.any(is_nan(a), is_nan(y)), a + y, magnitude)
    half = bound(y * like(x, 0.5))
    whole, even = y == tirx.trunc(y), half == tirx.trunc(half)
    negative = bits(x) < like(bits(x), 0)
    signed = tirx.Select(tirx.all(negative, whole, tirx.Not(even)), zero - magnitude, magnitude)
    undefined = tirx.all(negative, tirx.Not(whole), a != zero, a != infinity)
    value = tirx.Select(undefined, like(x, math.nan), signed)
    return tirx.Select(tirx.any(x == one, y == zero), one, value)


def _by_products(bound: Bound, x: Expr, y: Expr) -> Expr | None:
    """A power, to 3 ulp, whose exponent is a constant for which a few products or a root do; None for others."""
    exponent = y.value if isinstance(y, tirx.FloatImm) else None
    if exponent not in (-1, -0.5, 0.5, 1, 2, 3, 4):
        return None
    x = bound(x)
    square = x * x
    made = {0.5: tirx.sqrt(x), 1: x, 2: square, 3: square * x, 4: bound(square) * square}[abs(exponent)]
    return made if exponent > 0 else like(x, 1) / made


def _log2(bound: Bound, a: Expr) -> Expr:
    """Of positive, normal float64 numbers: absolute error below 2^-40."""
    n = bound(bits(a))
    k = bound(tirx.shift_right(n - like(n, _ROOT_HALF), like(n, _BITS)))
    m = bound(from_bits(n - tirx.shift_left(k, like(n, _BITS))))
    s = bound((m - like(a, 1)) / (m + like(a, 1)))
    return bound(polynomial(bound(s * s), _ATANH) * s + k.astype(str(a.ty.dtype)))


def _exp2(bound: Bound, t: Expr) -> Expr:
    """2^t of |t| < 1000, relative error below 2^-35."""
    shifted = bound(t + like(t, _ROUNDING))
    r = bound(t - (shifted - like(t, _ROUNDING)))
    n = bits(shifted) - like(bits(shifted), 0x4338000000000000)
    return polynomial(r, _EXP) * from_bits(tirx.shift_left(n + like(n, _BIAS), like(n, _BITS)))
