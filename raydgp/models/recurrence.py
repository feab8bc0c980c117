"""Recurrent layers as one kernel: a loop over the steps with one copy of the weights.

What a step takes from its input is a dense layer over all steps, computed before; the kernel adds what it takes from
the step before. The gates' order is ONNX's: LSTM input, output, forget, cell; GRU update, reset, hidden.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax
from tvm.script import tirx as T

Array = NDArray[Any]
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def recurrent(
    builder: relax.BlockBuilder,
    kind: str,
    x: relax.Expr,
    weights: tuple[relax.Expr, relax.Expr],
    biases: tuple[relax.Expr, relax.Expr] | None,
    states: list[relax.Expr],
    backward: bool,
    relu: bool = False,
    reset_after: bool = True,
) -> list[relax.Expr]:
    """One direction of one layer.

    Args:
        kind: of `GATES`.
        x: [steps, batch, in].
        weights: of the input, [gates * hidden, in], and of the state, [gates * hidden, hidden].
        biases: of both, [gates * hidden] each.
        states: the first hidden state and, of an LSTM, the first cell state, [batch, hidden] each.
        backward: whether the last step comes first.
        relu: in place of tanh, of an RNN.
        reset_after: of a GRU, whether the reset gate comes after the product with the state.

    Returns:
        The hidden states of all steps, [steps, batch, hidden], the last one and, of an LSTM, the last cell state.
    """
    emit, const = builder.emit, relax.const
    steps, batch, _ = (int(extent) for extent in x.ty.shape)
    hidden, gates = int(states[0].ty.shape[1]), GATES[kind]
    inputs = emit(relax.op.matmul(x, _turned(builder, weights[0])))
    kept = const(np.zeros(gates * hidden, np.float32))  # a GRU's reset gate is also for what the state's bias adds
    if biases:
        inputs = emit(inputs + biases[0])
        if kind == "GRU" and reset_after:
            kept = biases[1]
        else:
            inputs = emit(inputs + biases[1])
    matrix = _turned(builder, weights[1])
    written: Any = _KERNELS[kind]
    function = written(steps, batch, hidden, backward, relu, reset_after).without_attr("global_symbol")
    kernel = builder.add_func(function, kind.lower())
    sequence = relax.TensorType((steps, batch, hidden), "float32")
    if kind == "LSTM":
        types = [sequence, relax.TensorType((batch, hidden), "float32")]
        both = emit(relax.call_tir(kernel, [inputs, matrix, *states], types))
        y, cell = emit(relax.TupleGetItem(both, 0)), [emit(relax.TupleGetItem(both, 1))]
    else:
        y, cell = emit(relax.call_tir(kernel, [inputs, matrix, kept, states[0]], sequence)), []
    last = 0 if backward else steps - 1
    row = emit(relax.op.strided_slice(y, [0], [last], [last + 1]))
    return [y, emit(relax.op.reshape(row, (batch, hidden))), *cell]


def _turned(builder: relax.BlockBuilder, weight: relax.Expr) -> relax.Expr:
    """A matrix with its axes swapped; now where it is known, since TVM would compile a kernel for that."""
    if isinstance(weight, tvm.ir.GenericConst):
        return relax.const(tvm.runtime.tensor(np.ascontiguousarray(weight.value.numpy().T)))
    return builder.emit(relax.op.permute_dims(weight))


def _lstm(steps: int, batch: int, hidden: int, backward: bool, *_: bool) -> tvm.tirx.PrimFunc:
    width = 4 * hidden

    @T.prim_func(s_tir=True)
    def lstm(
        p_inputs: T.handle,
        p_matrix: T.handle,
        p_first: T.handle,
        p_first_cell: T.handle,
        p_y: T.handle,
        p_cell: T.handle,
    ) -> None:
        T.func_attr({"tirx.noalias": True})
        inputs = T.match_buffer(p_inputs, (steps, batch, width))
        matrix = T.match_buffer(p_matrix, (hidden, width))
        first = T.match_buffer(p_first, (batch, hidden))
        first_cell = T.match_buffer(p_first_cell, (batch, hidden))
        y = T.match_buffer(p_y, (steps, batch, hidden))
        cell = T.match_buffer(p_cell, (batch, hidden))
        gates = T.sblock_alloc_buffer((width,), "float32")
        state = T.sblock_alloc_buffer((hidden,), "float32")
        with T.sblock("recurrent"):
            for n in range(batch):
                for j in range(hidden):
                    cell[n, j] = first_cell[n, j]
                    state[j] = first[n, j]
                for t in range(steps):
                    for j in range(width):
                        gates[j] = inputs[T.if_then_else(backward, steps - 1 - t, t), n, j]
                    for k in range(hidden):
                        for j in range(width):
                            gates[j] = gates[j] + state[k] * matrix[k, j]
                    for j in range(hidden):
                        cell[n, j] = T.sigmoid(gates[2 * hidden + j]) * cell[n, j] + T.sigmoid(gates[j]) * T.tanh(
                            gates[3 * hidden + j]
                        )
                        state[j] = T.sigmoid(gates[hidden + j]) * T.tanh(cell[n, j])
                        y[T.if_then_else(backward, steps - 1 - t, t), n, j] = state[j]

    return lstm


def _gru(steps: int, batch: int, hidden: int, backward: bool, _: bool, reset_after: bool) -> tvm.tirx.PrimFunc:
    width = 3 * hidden
    both = width if reset_after else 2 * hidden  # columns that are multiplied with the state as it is

    @T.prim_func(s_tir=True)
    def gru(p_inputs: T.handle, p_matrix: T.handle, p_bias: T.handle, p_first: T.handle, p_y: T.handle) -> None:
        T.func_attr({"tirx.noalias": True})
        inputs = T.match_buffer(p_inputs, (steps, batch, width))
        matrix = T.match_buffer(p_matrix, (hidden, width))
        bias = T.match_buffer(p_bias, (width,))
        first = T.match_buffer(p_first, (batch, hidden))
        y = T.match_buffer(p_y, (steps, batch, hidden))
        gates = T.sblock_alloc_buffer((width,), "float32")
        state = T.sblock_alloc_buffer((hidden,), "float32")
        with T.sblock("recurrent"):
            for n in range(batch):
                for j in range(hidden):
                    state[j] = first[n, j]
                for t in range(steps):
                    for j in range(width):
                        gates[j] = bias[j]
                    for k in range(hidden):
                        for j in range(both):
                            gates[j] = gates[j] + state[k] * matrix[k, j]
                    for j in range(2 * hidden):
                        gates[j] = T.sigmoid(gates[j] + inputs[T.if_then_else(backward, steps - 1 - t, t), n, j])
                    if not reset_after:
                        for k in range(hidden):
                            for j in range(hidden):
                                gates[2 * hidden + j] = (
                                    gates[2 * hidden + j] + gates[hidden + k] * state[k] * matrix[k, 2 * hidden + j]
                                )
                    for j in range(hidden):
                        gates[2 * hidden + j] = T.tanh(
                            inputs[T.if_then_else(backward, steps - 1 - t, t), n, 2 * hidden + j]
                            + T.if_then_else(reset_after, gates[hidden + j], T.float32(1)) * gates[2 * hidden + j]
                        )
                    for j in range(hidden):
                        state[j] = (T.float32(1) - gates[j]) * gates[2 * hidden + j] + gates[j] * state[j]
                        y[T.if_then_else(backward, steps - 1 - t, t), n, j] = state[j]

    return gru


def _rnn(steps: int, batch: int, hidden: int, backward: bool, relu: bool, _: bool) -> tvm.tirx.PrimFunc:
    @T.prim_func(s_tir=True)
    def rnn(p_inputs: T.handle, p_matrix: T.handle, p_bias: T.handle, p_first: T.handle, p_y: T.handle) -> None:
        T.func_attr({"tirx.noalias": True})
        inputs = T.match_buffer(p_inputs, (steps, batch, hidden))
        matrix = T.match_buffer(p_matrix, (hidden, hidden))
        bias = T.match_buffer(p_bias, (hidden,))
        first = T.match_buffer(p_first, (batch, hidden))
        y = T.match_buffer(p_y, (steps, batch, hidden))
        sums = T.sblock_alloc_buffer((hidden,), "float32")
        state = T.sblock_alloc_buffer((hidden,), "float32")
        with T.sblock("recurrent"):
            for n in range(batch):
                for j in range(hidden):
                    state[j] = first[n, j]
                for t in range(steps):
                    for j in range(hidden):
                        sums[j] = bias[j] + inputs[T.if_then_else(backward, steps - 1 - t, t), n, j]
                    for k in range(hidden):
                        for j in range(hidden):
                            sums[j] = sums[j] + state[k] * matrix[k, j]
                    for j in range(hidden):
                        state[j] = T.if_then_else(relu, T.max(sums[j], T.float32(0)), T.tanh(sums[j]))
                        y[T.if_then_else(backward, steps - 1 - t, t), n, j] = state[j]

    return rnn


_KERNELS = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}
