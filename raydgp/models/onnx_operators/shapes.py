"""Operators on shapes and parts of tensors, which are all known when a model is imported."""

from __future__ import annotations

import numpy as np
from tvm import relax

from raydgp.models.onnx_operators.base import Operation, const, converts


@converts("Shape")
def shape(op: Operation) -> relax.Expr:
    dims = op.shape()
    return const(dims[slice(op.get("start", 0), op.get("end"))], "int64")


@converts("Size")
def size(op: Operation) -> relax.Expr:
    return const(int(np.prod(op.shape())), "int64")


@converts("Split")
def split(op: Operation) -> list[relax.Expr]:
    """As slices, so that every output is an array of its own from the start."""
    axis = op.get("axis", 0) % len(op.shape())
    length = op.shape()[axis]
    sizes = op.get("split") or op.ints(1)
    if sizes is None:
        count = op.get("num_outputs", op.outputs)
        step = -(-length // count)
        sizes = [max(0, min(step, length - step * place)) for place in range(count)]
    ends = np.cumsum(sizes).tolist()
    return [
        op.emit(relax.op.strided_slice(op.tensor(), [axis], [end - part], [end]))
        for part, end in zip(sizes, ends, strict=True)
    ]


@converts("Identity", "Dropout")
def same(op: Operation) -> list[relax.Expr]:
    """Dropout in inference drops nothing."""
    if op.outputs == 1:
        return [op.tensor()]
    return [op.tensor(), const(np.ones(op.shape()), "bool")]
