"""What follows a layer elementwise, read as steps of its epilogue (`raydgp.workloads.activations`)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import relax

from raydgp.models.relax_reading import constant, operator

_PLAIN = {
    "nn.relu": "relu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "nn.gelu": "gelu",
    "nn.gelu_tanh": "gelu_tanh",
    "nn.silu": "gated sigmoid",
}
_LONGEST = 6  # calls from a value to its gate


@dataclass(frozen=True)
class Gate:
    """A value times what calls make of it, as one step.

    Attributes:
        step: of the epilogue.
        calls: variables of the calls, the product last.
    """

    step: str
    calls: list[relax.Var]


def activation(call: relax.Call, x: relax.Var) -> str:
    """The step that a call is, which reads x and constants of one number; empty where it is none."""
    name = operator(call)
    if not name or not isinstance(call, relax.Call):
        return ""
    if name in _PLAIN and call.args[0].same_as(x):
        return _PLAIN[name]
    if name == "clip" and call.args[0].same_as(x):
        bounds = [float(getattr(bound, "value", math.nan)) for bound in call.args[1:]]
        if any(map(math.isnan, bounds)):
            return ""
        return "relu6" if bounds == [0, 6] else f"clip:{bounds[0]!r}:{bounds[1]!r}"
    if name == "nn.leakyrelu" and call.args[0].same_as(x):
        return f"leaky_relu:{float(call.attrs.alpha)!r}"
    if name not in ("add", "subtract", "multiply", "divide"):
        return ""
    left, right = call.args
    other = right if left.same_as(x) else left
    array = constant(other)
    if array is None or array.size != 1 or array.dtype != "float32":
        return ""
    if array.ndim > len(x.ty.shape) or (left is other and name in ("subtract", "divide")):
        return ""
    number = float(array.reshape(()))
    if not math.isfinite(number):
        return ""
    if name in ("add", "subtract"):
        return f"plus:{number if name == 'add' else -number!r}"
    if name == "divide":
        return f"times:{1 / number!r}" if number else ""
    return f"times:{number!r}"


def gated(x: relax.Var, users: Mapping[relax.Var, Sequence[relax.VarBinding]], outputs: set[relax.Var]) -> Gate | None:
    """The product of x and of what it alone is made into, where nothing else reads x or what is between.

    Args:
        users: by variable, the calls that read it.
        outputs: variables used after the block.
    """
    readers = users.get(x, [])
    if len(readers) != 2:
        return None
    for first, product in (readers, reversed(readers)):
        at = x
        steps: list[str] = []
        calls: list[relax.Var] = []
        reader = first
        while len(calls) < _LONGEST and (step := activation(reader.value, at)) and not step.startswith("gated"):
            steps.append(step)
            calls.append(reader.var)
            at = reader.var
            if at in outputs or len(users.get(at, [])) != 1:
                break
            (reader,) = users[at]
            if reader.var.same_as(product.var):
                return _closed(product, x, at, steps, calls)
    return None


def _closed(product: relax.VarBinding, x: relax.Var, at: relax.Var, steps: list[str], calls: list[relax.Var]) -> Any:
    call = product.value
    sides = list(call.args) if operator(call) == "multiply" else []
    if not any(side.same_as(x) for side in sides) or not any(side.same_as(at) for side in sides):
        return None
    return Gate(" ".join(["gated", *steps]), [*calls, product.var])


@dataclass(frozen=True, eq=False)
class Slope:
    """A PReLU written out, as torch's exporter does: the array that multiplies what is negative, and its calls."""

    array: Any
    calls: list[relax.Var]


def sloped(x: relax.Var, users: Mapping[relax.Var, Sequence[relax.VarBinding]]) -> Slope | None:
    """`where(x > 0, x, slope * x)`, where nothing else reads x; None where it is no such thing."""
    readers = {operator(reader.value): reader for reader in users.get(x, [])}
    if len(users.get(x, [])) != 3 or set(readers) != {"greater", "multiply", "where"}:
        return None
    positive, product, chosen = readers["greater"], readers["multiply"], readers["where"]
    bound = constant(positive.value.args[1])
    sides = [side for side in product.value.args if not side.same_as(x)]
    whole = [positive.var, x, product.var]
    if (
        bound is None
        or bound.any()
        or len(sides) != 1
        or not all(a.same_as(b) for a, b in zip(chosen.value.args, whole, strict=True))
        or any(len(users.get(var, [])) != 1 for var in (positive.var, product.var))
    ):
        return None
    array = constant(sides[0])
    return None if array is None else Slope(array, [positive.var, product.var, chosen.var])
