"""Resize and Upsample in every mode."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from tvm import relax

from raydgp.models.onnx_operators.base import Operation, Unsupported, const, converts
from raydgp.models.resampling import Taps, antialiased, cubic, linear, nearest, positions, resample


@converts("Upsample")
def upsample(op: Operation) -> relax.Expr:
    scales = op.get("scales") or op.array(1).tolist()
    out = [math.floor(size * scale) for size, scale in zip(op.shape(), scales, strict=True)]
    mode = "linear" if op.get("mode", "nearest") in ("linear", "bilinear") else "nearest"
    coordinates = "asymmetric"
    taps = [
        nearest(positions(coordinates, size, length, scale), size, "floor")
        if mode == "nearest"
        else linear(positions(coordinates, size, length, scale), size)
        for size, length, scale in zip(op.shape(), out, scales, strict=True)
    ]
    return _resampled(op, taps, list(range(len(out))), 0.0)


@converts("Resize")
def resize(op: Operation) -> relax.Expr:
    shape = op.shape()
    given = op.get("axes")
    axes = [axis % len(shape) for axis in given] if given is not None else list(range(len(shape)))
    sizes = [shape[axis] for axis in axes]
    out, scales = _target(op, sizes)
    mode = op.get("coordinate_transformation_mode", "half_pixel" if op.opset > 10 else "asymmetric")
    roi = [float(value) for value in op.array(1).reshape(-1)] if mode == "tf_crop_and_resize" else []
    crops = [(roi[place], roi[len(axes) + place]) if roi else (0.0, 1.0) for place in range(len(axes))]
    taps = [_taps(op, mode, *line) for line in zip(sizes, out, scales, crops, strict=True)]
    return _resampled(op, taps, axes, float(op.get("extrapolation_value", 0.0)))


def _target(op: Operation, sizes: list[int]) -> tuple[list[int], list[float]]:
    """Sizes of the output, and scales, of the resized axes."""
    place = 1 if op.opset < 11 else 2
    scales = op.constant(place)
    if scales is not None and scales.size:
        return [
            math.floor(size * np.float32(scale)) for size, scale in zip(sizes, scales, strict=True)
        ], scales.tolist()
    wanted = op.ints(3)
    if wanted is None:
        raise Unsupported("neither scales nor sizes")
    policy = op.get("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return wanted, [out / size for out, size in zip(wanted, sizes, strict=True)]
    ratios = [out / size for out, size in zip(wanted, sizes, strict=True)]
    scale = min(ratios) if policy == "not_larger" else max(ratios)
    return [math.floor(scale * size + 0.5) for size in sizes], [scale] * len(sizes)


def _taps(op: Operation, mode: str, size: int, out: int, scale: float, crop: tuple[float, float]) -> Taps:
    if size == out and scale == 1 and mode != "tf_crop_and_resize":
        return Taps(np.arange(size)[:, None], np.ones((size, 1), np.float32))
    at, kind, a = positions(mode, size, out, scale, crop), op.get("mode", "nearest"), op.get("cubic_coeff_a", -0.75)
    excluded = bool(op.get("exclude_outside", 0))
    if kind == "nearest":
        taps = nearest(at, size, op.get("nearest_mode", "round_prefer_floor" if op.opset > 10 else "floor"))
    elif op.get("antialias", 0) and scale < 1:
        taps = antialiased(at, size, scale, kind, a, excluded)
    elif kind == "linear":
        taps = linear(at, size)
    else:
        taps = cubic(at, size, a, excluded)
    if mode == "tf_crop_and_resize":
        return replace(taps, outside=(at < 0) | (at > size - 1))
    return taps


def _resampled(op: Operation, taps: list[Taps], axes: list[int], fill: float) -> relax.Expr:
    x: Any = op.tensor()
    shape, dtype = op.shape(), op.dtype()
    single = all(tap.indices.shape[1] == 1 for tap in taps)
    if dtype != "float32" and not single:  # as onnxruntime: rounded once, at the end
        x = op.emit(relax.op.astype(x, "float32"))
    for axis, tap in zip(axes, taps, strict=True):
        x = resample(op.builder, x, axis, tap, shape[axis])
    for axis, tap in zip(axes, taps, strict=True):
        if tap.outside is not None and tap.outside.any():
            along = [-1 if place == axis else 1 for place in range(len(shape))]
            x = op.emit(
                relax.op.where(relax.const(tap.outside.reshape(along), "bool"), const(fill, str(x.ty.dtype)), x)
            )
    return x if str(x.ty.dtype) == dtype else op.emit(relax.op.astype(x, dtype))
