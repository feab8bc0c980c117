"""Activations of an epilogue as data: steps by name, whatever computes them.

A step is `relu`, `relu6`, `sigmoid`, `tanh`, `gelu` or `gelu_tanh`; one with numbers, such as `clip:-1:1` (or `inf`),
`leaky_relu:0.1`, `plus:3` and `times:0.5`; or `gated` with others after spaces: x times what they make of x. So
`gated sigmoid` is SiLU and `gated plus:3 clip:0:6 times:0.16666666666666666` is hardswish.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

from raydgp.errors import InputError, nearest

GATED = "gated"
_NUMBERS = {"relu": 0, "relu6": 0, "sigmoid": 0, "tanh": 0, "gelu": 0, "gelu_tanh": 0}
_NUMBERS |= {"clip": 2, "leaky_relu": 1, "plus": 1, "times": 1}


class Functions(Protocol):
    """What activations are made of, on the arrays or expressions of one library."""

    def maximum(self, x: Any, bound: float) -> Any: ...

    def minimum(self, x: Any, bound: float) -> Any: ...

    def sigmoid(self, x: Any) -> Any: ...

    def tanh(self, x: Any) -> Any: ...

    def erf(self, x: Any) -> Any: ...


class InNumpy:
    """The functions on NumPy's arrays."""

    def maximum(self, x: Any, bound: float) -> Any:
        return np.maximum(x, np.float32(bound))

    def minimum(self, x: Any, bound: float) -> Any:
        return np.minimum(x, np.float32(bound))

    def sigmoid(self, x: Any) -> Any:
        return 0.5 + 0.5 * np.tanh(0.5 * x)

    def tanh(self, x: Any) -> Any:
        return np.tanh(x)

    def erf(self, x: Any) -> Any:
        return np.vectorize(math.erf, otypes=[np.float32])(x)


def check(step: str) -> None:
    """Whether a step is one of these.

    Raises:
        InputError: it is not.
    """
    first, *inner = step.split(" ")
    if first == GATED and inner and GATED not in inner:
        for part in inner:
            check(part)
        return
    name, *numbers = step.split(":")
    if name not in _NUMBERS:
        known = nearest(name, [*_NUMBERS, GATED, "bias", "add", "prelu"])
        raise InputError(f"fused: unknown step {step!r} in the epilogue{known}")
    try:
        good = len(numbers) == _NUMBERS[name] and not any(math.isnan(float(n)) for n in numbers)
    except ValueError:
        good = False
    if not good:
        raise InputError(f"fused: step {step!r} in the epilogue takes {_NUMBERS[name]} numbers, such as {name}:0.5")


def activated(step: str, x: Any, by: Functions) -> Any:
    """What a step makes of x."""
    first, *inner = step.split(" ")
    if first == GATED:
        y = x
        for part in inner:
            y = activated(part, y, by)
        return x * y
    name, *written = step.split(":")
    numbers = [float(number) for number in written]
    match name:
        case "relu":
            return by.maximum(x, 0.0)
        case "relu6":
            return by.minimum(by.maximum(x, 0.0), 6.0)
        case "clip":
            low, high = numbers
            x = by.maximum(x, low) if low > -math.inf else x
            return by.minimum(x, high) if high < math.inf else x
        case "leaky_relu":
            return by.maximum(x, 0.0) + by.minimum(x, 0.0) * numbers[0]
        case "plus":
            return x + numbers[0]
        case "times":
            return x * numbers[0]
        case "gelu":
            return x * (by.erf(x * math.sqrt(0.5)) * 0.5 + 0.5)
        case "gelu_tanh":
            return x * (by.tanh((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)) * 0.5 + 0.5)
        case "sigmoid":
            return by.sigmoid(x)
        case _:
            return by.tanh(x)
