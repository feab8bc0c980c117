"""Pooling: averages, norms and maxima with their places."""

from __future__ import annotations

from typing import Any

from tvm import relax

from raydgp.models.onnx_operators.base import Operation, Unsupported, const, converts
from raydgp.models.onnx_operators.convolution import window_of
from raydgp.models.windows import Window, averaged, largest, reduced, with_places


def _window(op: Operation) -> Window:
    return window_of(op, op.shape()[2:], tuple(op.get("kernel_shape")))


@converts("AveragePool")
def average(op: Operation) -> Any:
    return averaged(op.builder, op.tensor(), _window(op), bool(op.get("count_include_pad", 0)))


@converts("MaxPool")
def maximum(op: Operation) -> Any:
    if op.outputs > 1:
        return with_places(op.builder, op.tensor(), _window(op), bool(op.get("storage_order", 0)), whole=True)
    return largest(op.builder, op.tensor(), _window(op))


@converts("LpPool")
def norm(op: Operation) -> Any:
    p = float(op.get("p", 2))
    if not op.dtype().startswith("float"):
        raise Unsupported(f"of {op.dtype()}")
    total = reduced(op.builder, op.tensor(), _window(op), "sum", power=p)
    return relax.op.power(total, const(1 / p, op.dtype()))


@converts("GlobalLpPool")
def global_norm(op: Operation) -> Any:
    axes, p = list(range(2, len(op.shape()))), float(op.get("p", 2))
    power = op.emit(relax.op.power(op.emit(relax.op.abs(op.tensor())), const(p, op.dtype())))
    return relax.op.power(op.emit(relax.op.sum(power, axes, True)), const(1 / p, op.dtype()))
