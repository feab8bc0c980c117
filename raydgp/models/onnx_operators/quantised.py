"""Operators on whole numbers of 8 bits, computed in float32: the products are exact, sums up to 2 to the 24th are."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from raydgp.models.onnx_operators.base import Operation, Unsupported, const, converts
from raydgp.models.onnx_operators.convolution import convolved, widened


@converts("ConvInteger")
def conv_integer(op: Operation) -> Any:
    out = convolved(op, widened(op, 0, 2), widened(op, 1, 3, axis=0), None)
    return op.emit(relax.op.astype(out, "int32"))


@converts("MatMulInteger")
def matmul_integer(op: Operation) -> Any:
    a = widened(op, 0, 2, axis=len(op.shape()) - 2)
    b = widened(op, 1, 3, axis=len(op.shape(1)) - 1)
    return op.emit(relax.op.astype(op.emit(relax.op.matmul(a, b)), "int32"))


@converts("QLinearConv")
def qlinear_conv(op: Operation) -> Any:
    bias = op.input(8)
    bias = op.emit(relax.op.astype(bias, "float32")) if bias is not None else None
    out = convolved(op, widened(op, 0, 2), widened(op, 3, 5, axis=0), bias)
    weights = op.array(4).astype(np.float32)
    return _quantised(op, out, op.array(1) * weights.reshape(-1, *[1] * (len(op.shape()) - 2)), 6, 7)


@converts("QLinearMatMul")
def qlinear_matmul(op: Operation) -> Any:
    if op.dtype(1) != "float32":
        raise Unsupported(f"scales of {op.dtype(1)}")
    a, b = widened(op, 0, 2, axis=len(op.shape()) - 2), widened(op, 3, 5, axis=len(op.shape(3)) - 1)
    rows, columns = op.array(1), op.array(4)
    scale = (rows.reshape(-1, 1) if rows.size > 1 else rows) * columns
    return _quantised(op, op.emit(relax.op.matmul(a, b)), scale, 6, 7)


@converts("DynamicQuantizeLinear")
def dynamically_quantised(op: Operation) -> Any:
    """Whole numbers, scale and zero point of a range that holds 0; of zeros alone the scale is 1, as of onnxruntime."""
    x, emit, zero = op.tensor(), op.emit, const(0, "float32")
    most = emit(relax.op.maximum(emit(relax.op.max(x)), zero))
    least = emit(relax.op.minimum(emit(relax.op.min(x)), zero))
    span = emit(most - least)
    scale = emit(
        relax.op.where(emit(relax.op.equal(span, zero)), const(1, "float32"), emit(span / const(255, "float32")))
    )
    point = emit(relax.op.round(emit(relax.op.clip(emit(relax.op.negative(emit(least / scale))), 0.0, 255.0))))
    whole = emit(emit(relax.op.round(emit(x / scale))) + point)
    return [_byte(op, whole), scale, _byte(op, point)]


def _byte(op: Operation, x: Any) -> relax.Expr:
    return op.emit(relax.op.astype(op.emit(relax.op.clip(x, 0.0, 255.0)), "uint8"))


def _quantised(op: Operation, x: Any, scale: Any, out_scale: int, out_zero: int) -> relax.Expr:
    """Real values divided by `scale`, rounded to even and kept within the type of the zero point."""
    dtype = op.dtype(out_zero)
    limits, zero = np.iinfo(dtype), op.array(out_zero).astype(np.float32)
    factor = np.asarray(scale / op.array(out_scale), np.float32)
    factor = factor.reshape(()) if factor.size == 1 else factor
    x = op.emit(relax.op.round(op.emit(x * const(factor, "float32"))))
    x = op.emit(x + const(zero.reshape(()) if zero.size == 1 else zero, "float32"))
    return op.emit(relax.op.astype(op.emit(relax.op.clip(x, float(limits.min), float(limits.max))), dtype))
