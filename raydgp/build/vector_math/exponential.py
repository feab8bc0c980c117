"""exp and what is made of it, for float32: exp2, exp10, sigmoid, tanh, sinh, cosh, erf.

Polynomials are those of Cephes (Moshier, 1992, expf.c, tanhf.c, sinhf.c). The quotient of erf is that of Eigen
(MathFunctionsImpl.h, 2019), both sides divided by the last coefficient below: so it is right of subnormal numbers.
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
    clamped,
    from_bits,
    like,
    polynomial,
    signed,
)

_ROUNDING = 1.5 * 2**FLOAT_BITS  # adding it leaves a whole number in the low bits of the sum
_BIAS = 127  # of a float32's exponent
_LN2 = (0.693359375, -2.12194440e-4)  # the first has few bits: its products with whole numbers are exact
_LOG10_2 = (0.30102539, 4.60503906e-6)  # of so few bits, too
_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
_TANH = (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
_SINH = (2.03721912945e-4, 8.33028376239e-3, 1.66667160211e-1)
_ERF_OVER = (
    1.9111055927e-08,
    -1.9423288537e-06,
    1.4728793939e-04,
    3.9906137603e-03,
    5.1524996544e-02,
    2.0712610290e-01,
    1.1283790939e00,
)
_ERF_UNDER = (
    1.0211243118e-03,
    1.4958146413e-02,
    1.1797110121e-01,
    5.1689197683e-01,
    1.0000000000e00,
)


def exp(bound: Bound, x: Expr) -> Expr:
    """e^x to 2 ulp, subnormal results included."""
    x = clamped(bound, x, -104.0, 89.0)  # beyond are 0 and infinity, as at the bounds
    shifted = bound(x * like(x, math.log2(math.e)) + like(x, _ROUNDING))
    n = bound(shifted - like(x, _ROUNDING))
    r = bound(x - n * like(x, _LN2[0]) - n * like(x, _LN2[1]))
    return _scaled(bound, _exp_of_rest(r), shifted)


def exp2(bound: Bound, x: Expr) -> Expr:
    """2^x to 2 ulp."""
    x = clamped(bound, x, -150.0, 128.5)
    shifted = bound(x + like(x, _ROUNDING))
    r = bound((x - (shifted - like(x, _ROUNDING))) * like(x, math.log(2)))
    return _scaled(bound, _exp_of_rest(r), shifted)


def exp10(bound: Bound, x: Expr) -> Expr:
    """10^x to 2 ulp."""
    x = clamped(bound, x, -45.5, 39.0)
    shifted = bound(x * like(x, math.log2(10)) + like(x, _ROUNDING))
    n = bound(shifted - like(x, _ROUNDING))
    r = bound((x - n * like(x, _LOG10_2[0]) - n * like(x, _LOG10_2[1])) * like(x, math.log(10)))
    return _scaled(bound, _exp_of_rest(r), shifted)


def sigmoid(bound: Bound, x: Expr) -> Expr:
    """1 / (1 + e^-x) to 4 ulp, on the negative side as e^x / (1 + e^x), which neither overflows nor cancels."""
    e = bound(exp(bound, -absolute(x)))
    return tirx.Select(x >= like(x, 0), like(x, 1), e) / (e + like(x, 1))


def tanh(bound: Bound, x: Expr) -> Expr:
    """To 3 ulp."""
    a, z = bound(absolute(x)), bound(x * x)
    e = bound(exp(bound, a + a))
    large = like(x, 1) - like(x, 2) / (e + like(x, 1))
    small = polynomial(z, _TANH) * z * a + a
    return signed(tirx.Select(a < like(x, 0.625), small, large), x)


def sinh(bound: Bound, x: Expr) -> Expr:
    """To 8 ulp; e^x in two halves, which are finite where the result is."""
    a, z = bound(absolute(x)), bound(x * x)
    e = bound(exp(bound, a * like(x, 0.5)))
    large = like(x, 0.5) * e * e - like(x, 0.5) / (e * e)
    return signed(tirx.Select(a < like(x, 1), polynomial(z, _SINH) * z * a + a, large), x)


def cosh(bound: Bound, x: Expr) -> Expr:
    """To 8 ulp."""
    e = bound(exp(bound, absolute(x) * like(x, 0.5)))
    return like(x, 0.5) * e * e + like(x, 0.5) / (e * e)


def erf(bound: Bound, x: Expr) -> Expr:
    """To 8 ulp."""
    x = clamped(bound, x, -4.0, 4.0)
    z = bound(x * x)
    return x * polynomial(z, _ERF_OVER) / polynomial(z, _ERF_UNDER)


def _exp_of_rest(r: Expr) -> Expr:
    """e^r of |r| <= ln(2) / 2."""
    return polynomial(r, _EXP) * (r * r) + r + like(r, 1)


def _scaled(bound: Bound, value: Expr, shifted: Expr) -> Expr:
    """`value * 2^n`, in two steps, as 2^n alone may be too large or too small; n is in the low bits of `shifted`."""
    n = bound(bits(shifted) - like(bits(shifted), 0x4B400000))
    half = bound(tirx.shift_right(n, like(n, 1)))

    def power(exponent: Expr) -> Expr:
        return from_bits(tirx.shift_left(exponent + like(n, _BIAS), like(n, FLOAT_BITS)))

    return value * power(half) * power(n - half)
