"""Convolutions with every padding, in forms that have templates: one axis as two, uneven padding as a step before."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tvm
from tvm import relax

from raydgp.models.onnx_operators.base import Operation, Unsupported, const, converts
from raydgp.models.windows import Window


def window_of(op: Operation, size: tuple[int, ...], kernel: tuple[int, ...]) -> Window:
    """The window that a convolution's or a pooling operator's attributes describe."""
    ones = [1] * len(size)
    auto = op.get("auto_pad", "NOTSET")
    stride, dilation = op.get("strides") or ones, op.get("dilations") or ones
    if auto.startswith("SAME"):
        return Window.same(size, kernel, stride, dilation, auto == "SAME_LOWER")
    pads = [0] * 2 * len(size) if auto == "VALID" else op.get("pads") or [0] * 2 * len(size)
    return Window.of(size, kernel, stride, dilation, pads, bool(op.get("ceil_mode", 0)))


@converts("Conv")
def convolution(op: Operation) -> Any:
    return convolved(op, op.tensor(), op.tensor(1), op.input(2))


def convolved(op: Operation, x: Any, weight: Any, bias: Any) -> relax.Expr:
    """A convolution of translated tensors with the operator's attributes."""
    emit, shape, kernel = op.emit, _shape(x), _shape(weight)
    window = window_of(op, shape[2:], kernel[2:])
    stride, dilation, before, after = (
        list(part) for part in (window.stride, window.dilation, window.before, window.after)
    )
    if len(window.size) == 1:  # templates are of two axes
        x = emit(relax.op.reshape(x, (*shape[:2], 1, shape[2])))
        weight = emit(relax.op.reshape(weight, (*kernel[:2], 1, kernel[2])))
        stride, dilation, before, after = [1, *stride], [1, *dilation], [0, *before], [0, *after]
    if before != after:
        x = emit(relax.op.nn.pad(x, [0, 0, 0, 0, *(edge for pair in zip(before, after, strict=True) for edge in pair)]))
        before = [0] * len(before)
    if len(before) not in (2, 3):
        raise Unsupported(f"{len(before)} axes")
    call = relax.op.nn.conv2d if len(before) == 2 else relax.op.nn.conv3d
    out = emit(call(x, weight, strides=stride, padding=before * 2, dilation=dilation, groups=op.get("group", 1)))
    if bias is not None:
        out = emit(out + emit(relax.op.reshape(bias, (1, kernel[0], *[1] * len(before)))))
    return out if len(window.size) > 1 else emit(relax.op.reshape(out, (shape[0], kernel[0], window.out[0])))


@converts("ConvTranspose")
def transposed(op: Operation) -> Any:
    shape, kernel = op.shape(), op.shape(1)
    rank = len(shape) - 2
    ones, zeros = [1] * rank, [0] * rank
    stride, dilation = list(op.get("strides") or ones), list(op.get("dilations") or ones)
    extra, pads = list(op.get("output_padding") or zeros), list(op.get("pads") or zeros * 2)
    auto, wanted = op.get("auto_pad", "NOTSET"), op.get("output_shape")
    if auto == "VALID":
        pads = zeros * 2
    if wanted is not None or auto.startswith("SAME"):
        wanted = list(wanted or [s * step for s, step in zip(shape[2:], stride, strict=True)])[-rank:]
        lines = zip(shape[2:], stride, extra, dilation, kernel[2:], wanted, strict=True)
        total = [step * (s - 1) + e + (k - 1) * d + 1 - w for s, step, e, d, k, w in lines]
        extra = [e + max(0, -t) for e, t in zip(extra, total, strict=True)]
        half = [max(0, t) // 2 for t in total]
        rest = [max(0, t) - h for t, h in zip(total, half, strict=True)]
        pads = half + rest if auto == "SAME_UPPER" else rest + half
    calls = {1: relax.op.nn.conv1d_transpose, 2: relax.op.nn.conv2d_transpose, 3: relax.op.nn.conv3d_transpose}
    if rank not in calls or any(e >= step for e, step in zip(extra, stride, strict=True)):
        raise Unsupported("more padding of the output than a stride")
    options = {"strides": stride, "padding": pads, "output_padding": extra, "dilation": dilation}
    out = op.emit(calls[rank](op.tensor(), op.tensor(1), groups=op.get("group", 1), **options))
    if op.input(2) is None:
        return out
    bias = op.emit(relax.op.reshape(op.tensor(2), (1, op.shape(2)[0], *ones)))
    return op.emit(out + bias)


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(int(extent) for extent in value.ty.shape)


def widened(op: Operation, place: int, zero: int, axis: int | None = None) -> Any:
    """Whole numbers as float32 with their zero point subtracted.

    Args:
        place: of the input.
        zero: of its zero point.
        axis: along which zero points lie where there are several.
    """
    value = op.emit(relax.op.astype(op.tensor(place), "float32"))
    if op.input(zero) is None:
        return value
    if not isinstance(op.tensor(zero), tvm.ir.GenericConst):  # of what is quantised as the model runs
        if math.prod(op.shape(zero)) != 1:
            raise Unsupported("several zero points that are computed")
        point = op.emit(relax.op.reshape(op.emit(relax.op.astype(op.tensor(zero), "float32")), ()))
        return op.emit(value - point)
    points = op.array(zero).astype(np.float32)
    if points.size > 1 and axis is not None:
        points = points.reshape([-1 if k == axis else 1 for k in range(len(op.shape(place)))])
    return (
        value
        if not points.any()
        else op.emit(value - const(points if points.size > 1 else points.reshape(()), "float32"))
    )
