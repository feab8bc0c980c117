"""Elementwise operators, comparisons and small reductions."""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import relax, te, tirx

from raydgp.models.onnx_operators.base import Operation, Unsupported, const, converts, numpy_dtype


@converts("Pow")
def power(op: Operation) -> Any:
    """Small constant powers as products: a call of the C library for each element otherwise."""
    x, exponent, dtype = op.tensor(), op.tensor(1), op.dtype()
    try:
        value = float(op.array(1).reshape(-1)[0]) if op.array(1).size == 1 else None
    except Unsupported:
        value = None
    shape = np.broadcast_shapes(op.shape(), op.shape(1))
    if value in (2.0, 3.0) and shape == op.shape():
        square = op.emit(x * x)
        return square if value == 2.0 else op.emit(square * x)
    if not dtype.startswith("float"):
        raise Unsupported(f"of {dtype}")
    if value == 0.5 and shape == op.shape():
        return op.emit(relax.op.sqrt(x))
    if op.dtype(1) != dtype:
        exponent = op.emit(relax.op.astype(exponent, dtype))
    return op.emit(relax.op.power(x, exponent))


@converts("Clip")
def clip(op: Operation) -> Any:
    """One operator where the bounds are known, which a layer before it takes in. A bound that is NaN is none."""
    x, dtype = op.tensor(), op.dtype()
    limits = (("min", 1, relax.op.maximum, -np.inf), ("max", 2, relax.op.minimum, np.inf))
    given = {place: op.input(place) for _, place, _, _ in limits if op.input(place) is not None}
    if dtype.startswith("float") and all(isinstance(bound, tvm.ir.GenericConst) for bound in given.values()):
        bounds = [float(op.array(at)) if at in given else op.get(name, none) for name, at, _, none in limits]
        low, high = (none if np.isnan(bound) else bound for bound, (*_, none) in zip(bounds, limits, strict=True))
        return op.emit(relax.op.nn.relu(x) if (low, high) == (0, np.inf) else relax.op.clip(x, low, high))
    for _, place, bounded, none in limits:
        if (bound := given.get(place)) is not None:
            if dtype.startswith("float"):
                bound = op.emit(relax.op.where(op.emit(relax.op.isnan(bound)), const(none, dtype), bound))
            x = op.emit(bounded(x, bound))
    return x


@converts("IsInf")
def infinite(op: Operation) -> Any:
    x, dtype = op.tensor(), op.dtype()
    found = [
        op.emit(relax.op.equal(x, const(value, dtype)))
        for value, name in ((-np.inf, "detect_negative"), (np.inf, "detect_positive"))
        if op.get(name, 1)
    ]
    if not found:
        return const(np.zeros(op.shape()), "bool")
    return found[0] if len(found) == 1 else op.emit(relax.op.logical_or(*found))


@converts("OneHot")
def one_hot(op: Operation) -> Any:
    depth, axis, rank = int(op.array(1).reshape(-1)[0]), int(op.get("axis", -1)), len(op.shape())
    axis %= rank + 1
    indices = op.tensor()
    if not op.dtype().startswith("int"):
        indices = op.emit(relax.op.astype(indices, "int64"))
    dtype = str(indices.ty.dtype)
    indices = op.emit(relax.op.expand_dims(indices, [axis]))
    negative = op.emit(relax.op.less(indices, const(0, dtype)))
    indices = op.emit(relax.op.where(negative, op.emit(indices + const(depth, dtype)), indices))
    along = [-1 if place == axis else 1 for place in range(rank + 1)]
    hot = op.emit(relax.op.equal(indices, const(np.arange(depth).reshape(along), dtype)))
    off, on = (op.emit(relax.op.strided_slice(op.tensor(2), [0], [k], [k + 1])) for k in (0, 1))
    return op.emit(relax.op.where(hot, on, off))


@converts("EyeLike")
def eye(op: Operation) -> Any:
    shape, kind = op.shape(), op.get("dtype")
    dtype = op.dtype() if kind is None else numpy_dtype(kind)
    return const(np.eye(shape[0], shape[1], k=op.get("k", 0)), dtype)


@converts("ReduceMax", "ReduceMin")
def extreme(op: Operation) -> Any:
    """TVM's own begins with the largest finite number, which infinity everywhere does not reach."""
    rank, largest, dtype = len(op.shape()), op.name == "ReduceMax", op.dtype()
    given = op.get("axes") or op.ints(1)
    if not given and op.get("noop_with_empty_axes", 0):
        return op.tensor()
    axes = sorted(axis % rank for axis in given) if given else list(range(rank))
    keep = bool(op.get("keepdims", 1))
    if 0 in op.shape():
        raise Unsupported("nothing to reduce")
    if not dtype.startswith("float") or not axes:
        if dtype == "bool":
            x = op.emit(relax.op.astype(op.tensor(), "int8"))
            reduced = (relax.op.max if largest else relax.op.min)(x, axes, keep)
            return op.emit(relax.op.astype(op.emit(reduced), "bool"))
        return op.emit((relax.op.max if largest else relax.op.min)(op.tensor(), axes, keep))
    start = float("-inf") if largest else float("inf")

    def larger(a: Any, b: Any) -> Any:
        return tirx.max(a, b) if largest else tirx.min(a, b)

    reducer = te.comm_reducer(larger, lambda kind: tirx.const(start, kind), name="extreme")

    def compute(data: te.Tensor) -> te.Tensor:
        taps = {axis: te.reduce_axis((0, data.shape[axis]), f"k{axis}") for axis in axes}
        kept = [axis for axis in range(rank) if axis not in taps]
        shape = [1 if axis in taps else data.shape[axis] for axis in range(rank) if keep or axis not in taps]

        def element(*at: Any) -> Any:
            places = dict(zip(range(rank) if keep else kept, at, strict=True))
            return reducer(data(*(taps.get(axis, places.get(axis)) for axis in range(rank))), axis=list(taps.values()))

        return te.compute(shape, element, name="extreme")

    return op.te(compute, op.tensor(), primfunc_name_hint="reduce")


@converts("LpNormalization")
def normalised(op: Operation) -> Any:
    x, axis = op.tensor(), [op.get("axis", -1)]
    if op.get("p", 2) == 1:
        size = op.emit(relax.op.sum(op.emit(relax.op.abs(x)), axis, True))
    else:
        size = op.emit(relax.op.sqrt(op.emit(relax.op.sum(op.emit(x * x), axis, True))))
    return op.emit(relax.op.divide(x, op.emit(relax.op.maximum(size, const(1e-30, op.dtype())))))


@converts("CumProd")
def product(op: Operation) -> Any:
    if op.get("exclusive", 0) or op.get("reverse", 0):
        raise Unsupported("exclusive or reverse")
    return op.emit(relax.op.cumprod(op.tensor(), int(op.array(1).reshape(-1)[0])))


@converts("LayerNormalization")
def layer_norm(op: Operation) -> Any:
    x, rank, dtype = op.tensor(), len(op.shape()), op.dtype()
    axes = list(range(op.get("axis", -1) % rank, rank))
    epsilon = float(op.get("epsilon", 1e-5))
    bias = op.input(2) if op.input(2) is not None else const(np.zeros(op.shape(1)), dtype)
    if op.shape(1) != tuple(op.shape()[axis] for axis in axes) or dtype != "float32":
        raise Unsupported("a scale of another shape")
    out = op.emit(relax.op.nn.layer_norm(x, op.tensor(1), bias, axes, epsilon))
    if op.outputs == 1:
        return out
    mean = op.emit(relax.op.mean(x, axes, True))
    centred = op.emit(x - mean)
    variance = op.emit(relax.op.mean(op.emit(centred * centred), axes, True))
    return [out, mean, op.emit(relax.op.rsqrt(op.emit(variance + const(epsilon, dtype))))]
