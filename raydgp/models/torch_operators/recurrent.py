"""LSTM, GRU and RNN of any number of layers, in one or both directions."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from raydgp.models.recurrence import recurrent
from raydgp.models.torch_operators.base import Operation, converts, shape_of

# gates in torch's order, taken in that of `recurrent`
_ORDER = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}


@converts("lstm.input", "gru.input", "rnn_tanh.input", "rnn_relu.input")
def layers(op: Operation) -> Any:
    given, name = op.arguments(), op.name.partition(".")[0]
    kind, emit = name.partition("_")[0].upper(), op.emit
    x, states = given["input"], given["hx"]
    states = list(states) if kind == "LSTM" else [states]
    if given["batch_first"]:
        x = emit(relax.op.permute_dims(x, [1, 0, 2]))
    directions, biased, weights = 1 + bool(given["bidirectional"]), bool(given["has_biases"]), list(given["params"])
    hidden = shape_of(states[0])[-1]
    each = 4 if biased else 2
    finals: list[list[Any]] = []
    for layer in range(int(given["num_layers"])):
        outputs = []
        for direction in range(directions):
            place = layer * directions + direction
            mine = [_ordered(op, w, kind, hidden) for w in weights[place * each : place * each + each]]
            first = [_at(op, state, place) for state in states]
            biases = (mine[2], mine[3]) if biased else None
            made = recurrent(op.builder, kind, x, (mine[0], mine[1]), biases, first, bool(direction), "relu" in name)
            outputs.append(made[0])
            finals.append(made[1:])
        x = outputs[0] if directions == 1 else emit(relax.op.concat(outputs, 2))
    last = [emit(relax.op.stack([final[k] for final in finals], 0)) for k in range(len(states))]
    return (emit(relax.op.permute_dims(x, [1, 0, 2])) if given["batch_first"] else x, *last)


def _at(op: Operation, state: relax.Expr, place: int) -> relax.Expr:
    _, batch, hidden = shape_of(state)
    row = op.emit(relax.op.strided_slice(state, [0], [place], [place + 1]))
    return op.emit(relax.op.reshape(row, (batch, hidden)))


def _ordered(op: Operation, weight: relax.Expr, kind: str, hidden: int) -> relax.Expr:
    """Weights, or a bias, with the gates in the kernel's order."""
    order = _ORDER[kind]
    if order == tuple(range(len(order))):
        return weight
    rows = np.concatenate([np.arange(gate * hidden, (gate + 1) * hidden) for gate in order])
    return op.emit(relax.op.take(weight, relax.const(rows, "int64"), 0, mode="clip"))
