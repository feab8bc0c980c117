"""LSTM, GRU and RNN, forward, backward and in both directions."""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import relax

from raydgp.models.onnx_operators.base import Operation, Unsupported, const, converts
from raydgp.models.recurrence import GATES, recurrent

_USUAL = {"LSTM": ["sigmoid", "tanh", "tanh"], "GRU": ["sigmoid", "tanh"], "RNN": ["tanh"]}


@converts("LSTM", "GRU", "RNN")
def layer(op: Operation) -> list[relax.Expr]:
    kind, batch_first = op.name, bool(op.get("layout", 0))
    emit = op.emit
    directions = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[op.get("direction", "forward")]
    relu = _activation(op, len(directions))
    x = emit(relax.op.permute_dims(op.tensor(), [1, 0, 2])) if batch_first else op.tensor()
    steps, batch, _ = (int(extent) for extent in x.ty.shape)
    if op.dtype() != "float32" or not steps:
        raise Unsupported(f"of {op.dtype()}, {steps} steps")
    if (lengths := op.ints(4)) is not None and any(length != steps for length in lengths):
        raise Unsupported("sequences of several lengths")
    hidden, gates = op.shape(2)[2], GATES[kind]
    results = []
    for place, backward in enumerate(directions):
        biases = None
        if op.input(3) is not None:
            width = gates * hidden
            biases = (_row(op, 3, place, 0, width), _row(op, 3, place, width, 2 * width))
        states = [_state(op, k, place, batch, hidden, batch_first) for k in ((5, 6) if kind == "LSTM" else (5,))]
        weights = (_row(op, 1, place), _row(op, 2, place))
        after = kind != "GRU" or bool(op.get("linear_before_reset", 0))
        results.append(recurrent(op.builder, kind, x, weights, biases, states, backward, relu, after))
    y = emit(relax.op.stack([result[0] for result in results], 1))  # [steps, directions, batch, hidden]
    rest = [emit(relax.op.stack([result[k] for result in results], 0)) for k in range(1, len(results[0]))]
    if batch_first:
        y = emit(relax.op.permute_dims(y, [2, 0, 1, 3]))
        rest = [emit(relax.op.permute_dims(state, [1, 0, 2])) for state in rest]
    return [y, *rest]


def _activation(op: Operation, directions: int) -> bool:
    """Whether an RNN has relu; only the usual functions are written."""
    given = [
        name.decode().lower() if isinstance(name, bytes) else str(name).lower() for name in op.get("activations") or []
    ]
    usual = _USUAL[op.name] * directions
    relu = op.name == "RNN" and given == ["relu"] * directions
    if given and given != usual and not relu:
        raise Unsupported(f"activations {', '.join(given)}")
    if op.get("clip") or op.get("input_forget", 0) or op.input(7) is not None:
        raise Unsupported("clip, coupled gates or peepholes")
    return relu


def _row(op: Operation, place: int, direction: int, begin: int = 0, end: int | None = None) -> Any:
    """Rows of an input without its axis of directions; taken now where it is known."""
    shape, value = op.shape(place), op.tensor(place)
    if isinstance(value, tvm.ir.GenericConst):
        return const(value.value.numpy()[direction, begin:end], op.dtype(place))
    if shape[0] > 1:
        value = op.emit(relax.op.strided_slice(value, [0], [direction], [direction + 1]))
    value = op.emit(relax.op.reshape(value, shape[1:]))
    return value if end is None else op.emit(relax.op.strided_slice(value, [0], [begin], [end]))


def _state(op: Operation, place: int, direction: int, batch: int, hidden: int, batch_first: bool) -> Any:
    if op.input(place) is None:
        return relax.const(np.zeros((batch, hidden), np.float32))
    value = op.tensor(place)
    axis = 1 if batch_first else 0
    if op.shape(place)[axis] > 1:
        value = op.emit(relax.op.strided_slice(value, [axis], [direction], [direction + 1]))
    return op.emit(relax.op.reshape(value, (batch, hidden)))
