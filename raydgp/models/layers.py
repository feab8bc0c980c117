"""Which calls of a Relax function make a layer: an anchor with constant weights, and what follows it elementwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from tvm import relax

from raydgp.models.relax_reading import constant, operator, shape_of, variables
from raydgp.models.tails import activation, gated, sloped
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
    users: dict[relax.Var, list[relax.VarBinding]] = {}
    for binding in bindings:
        for var in dict.fromkeys(variables(binding.value)):
            users.setdefault(var, []).append(binding)
    place = {binding.var: k for k, binding in enumerate(bindings)}
    taken: set[relax.Var] = set()
    layers = []
    for binding in reversed(bindings):  # a residual is added by the later one of the layers that make its two sides
        layer = _anchored(binding)
        if layer is None or not has_template(layer.anchor):
            continue
        while layer.output not in outputs:
            (user, *others), output = users.get(layer.output, [None]), layer.output
            if user is None or user.var in taken:
                break
            if uses[output] == 1 and not others and _take(layer, user):
                layer.calls.append(user.var)
            elif gate := gated(output, users, outputs):
                layer.steps.append(gate.step)
                layer.calls.extend(gate.calls)
            elif (slope := sloped(output, users)) and (slopes := _by_channel(layer, slope.array)) is not None:
                layer.steps.append("prelu")
                layer.arrays.append(slopes)
                layer.calls.extend(slope.calls)
            else:
                break
        taken.update(layer.calls)
        layers.append(layer)
    return sorted(layers, key=lambda layer: place[layer.output])


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
    if step := "" if _is_bias(layer, call) else activation(call, layer.output):
        layer.steps.append(step)
    elif name == "nn.prelu" and call.args[0].same_as(layer.output):
        slopes = _slopes(layer, call)
        if slopes is None:
            return False
        layer.steps.append("prelu")
        layer.arrays.append(slopes)
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


def _is_bias(layer: Layer, call: relax.Call) -> bool:
    """Whether a number for each channel is added, which may be one alone."""
    return operator(call) == "add" and any(_bias(layer, constant(side)) is not None for side in call.args)


def _slopes(layer: Layer, call: relax.Call) -> Array | None:
    """The slopes of a PReLU below 0, as [co]; None where they are no constants, or not of the layer's channels."""
    array, axis, rank = constant(call.args[1]), layer.anchor.channel_axis, len(shape_of(layer.output))
    if array is None or axis is None or int(call.attrs.axis) % rank != axis % rank:
        return None
    along = [1] * rank
    along[axis] = -1
    return _by_channel(layer, array.reshape(along))


def _by_channel(layer: Layer, array: Array) -> Array | None:
    """A constant of one value for all, or for each channel, as [co]; None for anything else."""
    channels = shape_of(layer.output)[layer.anchor.channel_axis or 0]
    return np.repeat(array.reshape(-1), channels) if array.size == 1 else _bias(layer, array)


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
