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


@converts("Squeeze", "Unsqueeze")
def reshaped(op: Operation) -> relax.Expr:
    """The axes are an attribute before opset 13, an input since then; Squeeze without them takes all of one element."""
    given = op.get("axes") or op.ints(1)
    dims = list(op.shape())
    if op.name == "Unsqueeze":
        rank = len(dims) + len(given or [])
        for axis in sorted(axis % rank for axis in given or []):
            dims.insert(axis, 1)
    else:
        gone = {axis % len(dims) for axis in given} if given else {at for at, size in enumerate(dims) if size == 1}
        dims = [size for at, size in enumerate(dims) if at not in gone]
    return op.emit(relax.op.reshape(op.tensor(), tuple(dims)))


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


@converts("Concat")
def concatenated(op: Operation) -> relax.Expr:
    """Without empty parts: TVM cannot write an array without elements into a library."""
    axis = int(op.get("axis", 1))
    parts = [op.tensor(place) for place in range(len(op.inputs)) if op.shape(place)[axis]] or [op.tensor()]
    return parts[0] if len(parts) == 1 else op.emit(relax.op.concat(parts, axis))
