"""Pooling, interpolation, and the transposed convolution that TVM's importer lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import relax

from raydgp.errors import InputError
from raydgp.models.resampling import Taps, antialiased, cubic, linear, nearest, positions, ranges, resample
from raydgp.models.torch_operators.base import Operation, converts, shape_of
from raydgp.models.windows import Window, averaged, largest, with_places


def _window(given: dict[str, Any], size: Sequence[int]) -> Window:
    rank = len(size)
    kernel, padding = _each(given["kernel_size"], rank), _each(given["padding"], rank)
    stride = _each(given["stride"], rank) if given["stride"] else kernel
    dilation = _each(given.get("dilation", 1), rank)
    return Window.of(size, kernel, stride, dilation, [*padding, *padding], bool(given["ceil_mode"]))


def _each(value: Any, rank: int) -> list[int]:
    values = list(value) if isinstance(value, Sequence) else [value]
    return [int(v) for v in values] * (rank if len(values) == 1 else 1)


def _batched(op: Operation, x: relax.Expr, rank: int) -> relax.Expr:
    """The data with the axis of the batch, which torch allows to leave out."""
    return x if x.ty.ndim == rank + 2 else op.emit(relax.op.expand_dims(x, [0]))


def _as_given(op: Operation, x: relax.Expr, given: relax.Expr) -> relax.Expr:
    x = op.builder.normalize(x)
    return x if x.ty.ndim == given.ty.ndim else op.emit(relax.op.squeeze(x, [0]))


@converts("avg_pool1d.default", "avg_pool2d.default", "avg_pool3d.default")
def average(op: Operation) -> Any:
    given = op.arguments()
    rank = int(op.name[8])
    x = _batched(op, given["self"], rank)
    window = _window(given, shape_of(x)[2:])
    divisor = given.get("divisor_override")
    mean = averaged(op.builder, x, window, bool(given["count_include_pad"]), divisor)
    return _as_given(op, op.emit(mean), given["self"])


@converts("max_pool2d_with_indices.default", "max_pool3d_with_indices.default")
def maximum(op: Operation) -> Any:
    given = op.arguments()
    rank = int(op.name[8])
    x = _batched(op, given["self"], rank)
    window = _window(given, shape_of(x)[2:])
    asked = any(user.args[1] == 1 and user.users for user in op.node.users)
    both = with_places(op.builder, x, window) if asked else [op.emit(largest(op.builder, x, window))] * 2
    return tuple(_as_given(op, value, given["self"]) for value in both)


_MODES = {"nearest": "nearest", "linear": "linear", "bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}


@converts(
    *(f"upsample_{mode}{rank}d.{overload}" for mode, ranks in (("nearest", "123"), ("linear", "1"), ("bilinear", "2"),
      ("bicubic", "2"), ("trilinear", "3")) for rank in ranks for overload in ("vec", "default")),
    *(f"_upsample_nearest_exact{rank}d.{overload}" for rank in "123" for overload in ("vec", "default")),
    *(f"_upsample_{mode}2d_aa.{overload}" for mode in ("bilinear", "bicubic") for overload in ("vec", "default")),
)  # fmt: skip
def interpolate(op: Operation) -> Any:
    """Sizes and scales as torch reads them: a given scale counts, else the quotient of the sizes."""
    given, name = op.arguments(), op.name
    x = given["input"] if "input" in given else given["self"]
    rank = x.ty.ndim - 2
    sizes, scales = shape_of(x)[2:], _scales(given, rank)
    out = given.get("output_size")
    target = (
        [int(v) for v in out] if out is not None else [int(s * (k or 1)) for s, k in zip(sizes, scales, strict=True)]
    )
    corners, axes = bool(given.get("align_corners")), range(2, 2 + rank)
    for axis, size, length, scale in zip(axes, sizes, target, scales, strict=True):
        taps = _taps(name, size, length, scale or length / size, corners)
        x = resample(op.builder, x, axis, taps, size)
    return x


def _scales(given: dict[str, Any], rank: int) -> list[float | None]:
    factors = given.get("scale_factors")
    if factors is not None:
        return list(factors)
    named = [given.get(key) for key in ("scales_d", "scales_h", "scales_w", "scales") if key in given]
    return named[-rank:] if len(named) >= rank else [None] * rank


def _taps(name: str, size: int, out: int, scale: float, corners: bool) -> Taps:
    if "nearest" in name:
        exact = "exact" in name
        at = positions("half_pixel" if exact else "asymmetric", size, out, scale)
        return nearest(at + np.float32(0.5) if exact else at, size, "floor")
    kind = "cubic" if "cubic" in name else "linear"
    if "_aa" in name and out < size:
        return antialiased(positions("half_pixel", size, out, scale), size, scale, kind, -0.5, True)
    at = positions("align_corners" if corners else "half_pixel", size, out, scale)
    if kind == "linear":
        return linear(at, size)
    return cubic(at, size, -0.5 if "_aa" in name else -0.75)


@converts(*(f"{prefix}adaptive_avg_pool{rank}d.default" for prefix in ("", "_") for rank in "123"))
def adaptive_average(op: Operation) -> Any:
    """To any size: the mean over ranges along each axis, which need not be as long as each other."""
    given = op.arguments()
    x, rank = given["self"], int(op.name.lstrip("_")[17])
    shape = shape_of(x)
    sizes, target = shape[-rank:], _each(given["output_size"], rank)
    axes = range(len(shape) - rank, len(shape))
    if all(length == 1 for length in target):
        return op.emit(relax.op.mean(x, list(axes), keepdims=True))
    for axis, size, length in zip(axes, sizes, target, strict=True):
        x = resample(op.builder, x, axis, ranges(size, length), size)
    return x


@converts(*(f"adaptive_max_pool{rank}d.default" for rank in "123"))
def adaptive_maximum(op: Operation) -> Any:
    """To any size: the largest of a range along each axis in turn. Where a range is shorter, its last counts twice."""
    given = op.arguments()
    x, rank = given["self"], int(op.name[17])
    if any(user.args[1] == 1 and user.users for user in op.node.users):
        raise InputError("adaptive_max_pool with the places of the largest")
    first = x.ty.ndim - rank
    for axis, length in enumerate(_each(given["output_size"], rank), start=first):
        shape = shape_of(x)
        begin = np.arange(length) * shape[axis] // length
        end = -(-(np.arange(length) + 1) * shape[axis] // length)
        places = np.minimum(begin[:, None] + np.arange((end - begin).max()), end[:, None] - 1)
        x = op.emit(relax.op.take(x, relax.const(places.reshape(-1), "int64"), axis, mode="clip"))
        x = op.emit(relax.op.reshape(x, (*shape[:axis], *places.shape, *shape[axis + 1 :])))
        x = op.emit(relax.op.max(x, [axis + 1]))
    return x, x


@converts("conv_transpose3d.input")
def transposed(op: Operation) -> Any:
    given = op.arguments()
    strides, extra, dilation = (_each(given[key], 3) for key in ("stride", "output_padding", "dilation"))
    options = {
        "strides": strides,
        "output_padding": extra,
        "dilation": dilation,
        "padding": _each(given["padding"], 3) * 2,
    }
    out = op.emit(relax.op.nn.conv3d_transpose(given["input"], given["weight"], groups=given["groups"], **options))
    if given["bias"] is None:
        return out
    return op.emit(out + op.emit(relax.op.reshape(given["bias"], (1, -1, 1, 1, 1))))
