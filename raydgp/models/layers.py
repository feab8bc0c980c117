"""Which calls of a Relax function make a layer: an anchor with constant weights, and what follows it elementwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax

from raydgp.errors import InputError
from raydgp.registry import resolve
from raydgp.workloads import Workload
from raydgp.workloads.base import OPERATORS

Array = NDArray[np.float32]


@dataclass(eq=False)
class Layer:
    """One layer in logical layouts.

    Attributes:
        anchor: its operator.
        data: what it reads.
        weight: constant, in the anchor's layout.
        steps: of its epilogue.
        arrays: of the steps that take one: a bias as an array [co], a residual as a variable.
        calls: variables of the calls that it replaces; its output stands for the last one.
    """

    anchor: Workload
    data: relax.Var
    weight: Array
    calls: list[relax.Var]
    steps: list[str] = field(default_factory=list)
    arrays: list[Array | relax.Var] = field(default_factory=list)

    @property
    def output(self) -> relax.Var:
        return self.calls[-1]


def find_layers(
    bindings: Sequence[relax.VarBinding], outputs: set[relax.Var], has_template: Callable[[Workload], bool]
) -> list[Layer]:
    """The layers of a dataflow block, in the order of their outputs.

    Args:
        outputs: variables used after the block.
        has_template: whether an operator can be a layer's anchor.
    """
    uses = Counter(var for binding in bindings for var in variables(binding.value))
    users = {var: binding for binding in bindings for var in variables(binding.value)}
    place = {binding.var: k for k, binding in enumerate(bindings)}
    taken: set[relax.Var] = set()
    layers = []
    for binding in reversed(bindings):  # a residual is added by the later one of the layers that make its two sides
        layer = _anchored(binding)
        if layer is None or not has_template(layer.anchor):
            continue
        while uses[layer.output] == 1 and layer.output not in outputs:
            user = users[layer.output]
            if user.var in taken or not _take(layer, user):
                break
            layer.calls.append(user.var)
        taken.update(layer.calls)
        layers.append(layer)
    return sorted(layers, key=lambda layer: place[layer.output])


def variables(value: Any) -> Iterator[relax.Var]:
    """The variables that a bound value reads, each as often as it does."""
    if isinstance(value, relax.Var):
        yield value
    elif isinstance(value, relax.Call):
        for argument in value.args:
            yield from variables(argument)
    elif isinstance(value, relax.Tuple):
        for part in value.fields:
            yield from variables(part)
    elif isinstance(value, relax.TupleGetItem):
        yield from variables(value.tuple_value)


def constant(value: Any) -> Array | None:
    """A constant's array; None for anything else."""
    return value.value.numpy() if isinstance(value, tvm.ir.GenericConst) else None


def shape_of(value: Any) -> tuple[int, ...]:
    """A tensor's static shape.

    Raises:
        InputError: it is not static.
    """
    try:
        return tuple(int(extent) for extent in value.ty.shape)
    except (TypeError, AttributeError):
        raise InputError(
            f"the model has a tensor of no fixed shape ({value.ty}); export it with fixed shapes"
        ) from None


def operator(value: Any) -> str:
    """The name of the operator called, as `nn.conv2d`; empty for anything else."""
    is_operator = isinstance(value, relax.Call) and isinstance(value.op, tvm.ir.Op)
    return value.op.name.removeprefix("relax.") if is_operator else ""


def _anchored(binding: relax.VarBinding) -> Layer | None:
    """A layer of the anchor alone; None where no operator says that the call is one of its own."""
    call, name = binding.value, operator(binding.value)
    if name not in _readers() or not isinstance(call.args[0], relax.Var):
        return None
    data, weight = call.args[0], constant(call.args[1])
    if weight is None or weight.dtype != np.float32 or binding.var.ty.dtype != "float32":
        return None
    read = resolve(_readers()[name], f"operator {name} of Relax")(call, shape_of(data), weight)
    return Layer(read[0], data, read[1], [binding.var]) if read else None


def _readers() -> dict[str, str]:
    """By Relax operator, what reads its calls; of operators that share one, the first that names it."""
    found: dict[str, str] = {}
    for name in OPERATORS.names():
        for called, reader in OPERATORS[name].relax.items():
            found.setdefault(called, reader)
    return found


def _take(layer: Layer, binding: relax.VarBinding) -> bool:
    """Whether a call becomes the layer's next step."""
    call, name = binding.value, operator(binding.value)
    if name == "nn.relu":
        layer.steps.append("relu")
    elif name == "clip" and [getattr(bound, "value", None) for bound in call.args[1:]] == [0, 6]:
        layer.steps.append("relu6")
    elif name == "add":
        other = call.args[1] if call.args[0].same_as(layer.output) else call.args[0]
        bias = _bias(layer, constant(other))
        if bias is not None:
            layer.steps.append("bias")
            layer.arrays.append(bias)
        elif isinstance(other, relax.Var) and shape_of(other) == shape_of(layer.output):
            layer.steps.append("add")
            layer.arrays.append(other)
        else:
            return False
    else:
        return False
    return True


def _bias(layer: Layer, array: Array | None) -> Array | None:
    """A constant added as one value a channel, as [co]; None for anything else."""
    shape = shape_of(layer.output)
    axis = layer.anchor.channel_axis
    if axis is None:
        return None
    channel = axis % len(shape)  # a dense layer's output has as many axes as the model's data
    if array is None or array.size != shape[channel]:
        return None
    wanted = [1] * len(shape)
    wanted[channel] = shape[channel]
    aligned = array.reshape((1,) * (len(shape) - array.ndim) + array.shape)
    return array.reshape(-1) if list(aligned.shape) == wanted else None
