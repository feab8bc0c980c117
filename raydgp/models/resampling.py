"""Resampling along one axis as a weighted sum of few input elements for each output element.

Every mode of ONNX's Resize and of torch's interpolate is one: nearest has one element, linear two, cubic four, and an
antialiased filter as many as the scale is small. Positions and weights are computed here, once, as the formulas of
ONNX's operator Resize say (https://onnx.ai/onnx/operators/onnx__Resize.html), in float32 as onnxruntime and torch do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import relax, te

Array = NDArray[Any]
_FEW = 4  # elements that are summed one by one, which fuses with its neighbours; more are a reduction


@dataclass(frozen=True)
class Taps:
    """What each element along an axis is made of.

    Attributes:
        indices: int64[out, k] elements of the input.
        weights: float32[out, k].
        outside: bool[out], elements that lie outside of the input and get a fill value; None where none does.
    """

    indices: Array
    weights: Array
    outside: Array | None = None

    @property
    def trivial(self) -> bool:
        """Whether every element is the input's."""
        out, k = self.indices.shape
        return k == 1 and np.array_equal(self.indices[:, 0], np.arange(out)) and self.outside is None


def resample(builder: relax.BlockBuilder, x: relax.Expr, axis: int, taps: Taps, size: int) -> relax.Expr:
    """`x`, whose axis has `size` elements, resampled along it; its type must be the weights'."""
    out, k = taps.indices.shape
    if taps.trivial and out == size:
        return x
    rank, dtype = x.ty.ndim, str(x.ty.dtype)
    if k > _FEW:
        return _summed(builder, x, axis, taps)
    total = None
    for tap in range(k):
        part = builder.emit(relax.op.take(x, relax.const(taps.indices[:, tap], "int64"), axis, mode="clip"))
        if not np.all(taps.weights[:, tap] == 1):
            along = [-1 if place == axis else 1 for place in range(rank)]
            part = builder.emit(part * relax.const(taps.weights[:, tap].reshape(along), dtype))
        total = part if total is None else builder.emit(total + part)
    return total


def _summed(builder: relax.BlockBuilder, x: relax.Expr, axis: int, taps: Taps) -> relax.Expr:
    def compute(data: te.Tensor, indices: te.Tensor, weights: te.Tensor) -> te.Tensor:
        shape = [*data.shape]
        shape[axis] = indices.shape[0]
        tap = te.reduce_axis((0, indices.shape[1]), "tap")

        def element(*at: Any) -> Any:
            source = [*at]
            source[axis] = indices[at[axis], tap]
            return te.sum(data(*source) * weights[at[axis], tap], axis=tap)

        return te.compute(shape, element, name="resample")

    arguments = relax.const(taps.indices, "int64"), relax.const(taps.weights, str(x.ty.dtype))
    return builder.emit_te(compute, x, *arguments, primfunc_name_hint="resample")


def positions(mode: str, size: int, out: int, scale: float, crop: tuple[float, float] = (0.0, 1.0)) -> Array:
    """Where output elements lie along the input's axis, float32[out].

    Args:
        mode: ONNX's coordinate transformation mode.
        scale: of the output to the input.
        crop: part of the input that is resampled; of `tf_crop_and_resize` alone.

    Raises:
        KeyError: an unknown mode.
    """
    x, one, half = np.arange(out, dtype=np.float32), np.float32(1), np.float32(0.5)
    ratio = np.float32(scale)
    match mode:
        case "half_pixel":
            return (x + half) / ratio - half
        case "half_pixel_symmetric":
            adjustment = np.float32(out) / np.float32(scale * size)
            return np.float32(size / 2) * (one - adjustment) + (x + half) / ratio - half
        case "pytorch_half_pixel":
            return (x + half) / ratio - half if out > 1 else x * 0
        case "align_corners":
            return x * np.float32(size - 1) / np.float32(out - 1) if out > 1 else x * 0
        case "asymmetric":
            return x / ratio
        case "tf_half_pixel_for_nn":
            return (x + half) / ratio
        case "tf_crop_and_resize":
            start, end = (np.float32(edge) * np.float32(size - 1) for edge in crop)
            return start + x * (end - start) / np.float32(out - 1) if out > 1 else x * 0 + half * (start + end)
    raise KeyError(mode)


def nearest(at: Array, size: int, rounding: str) -> Taps:
    """One element each; `rounding` is ONNX's nearest mode."""
    rounded = {
        "round_prefer_floor": np.ceil(at - np.float32(0.5)),
        "round_prefer_ceil": np.floor(at + np.float32(0.5)),
        "floor": np.floor(at),
        "ceil": np.ceil(at),
    }[rounding]
    return Taps(rounded.clip(0, size - 1).astype(np.int64)[:, None], np.ones((len(at), 1), np.float32))


def linear(at: Array, size: int) -> Taps:
    """The two elements beside each position, those at the border repeated."""
    at = at.clip(0, size - 1)
    low = np.floor(at).astype(np.int64)
    high = np.minimum(low + 1, size - 1)
    weight = (at - low).astype(np.float32)
    return Taps(np.stack([low, high], 1), np.stack([1 - weight, weight], 1).astype(np.float32))


def cubic(at: Array, size: int, a: float, exclude_outside: bool = False) -> Taps:
    """The four elements around each position, by Keys' kernel with coefficient `a`."""
    low = np.floor(at)
    fraction = (at - low).astype(np.float64)
    weights = np.stack([_keys(fraction + 1, a), _keys(fraction, a), _keys(1 - fraction, a), _keys(2 - fraction, a)], 1)
    indices = low.astype(np.int64)[:, None] + np.arange(-1, 3)
    if exclude_outside:
        weights = np.where((indices < 0) | (indices >= size), 0, weights)
        weights /= weights.sum(1, keepdims=True)
    return Taps(indices.clip(0, size - 1), weights.astype(np.float32))


def antialiased(at: Array, size: int, scale: float, kernel: str, a: float, exclude_outside: bool = False) -> Taps:
    """A filter stretched by a scale below 1, its weights summing to 1; at other scales as without stretching.

    Args:
        at: positions, of half pixels.
        kernel: `linear` or `cubic`.
        exclude_outside: whether elements outside of the input have no weight, as in PIL and torch; the border is
            repeated otherwise.
    """
    stretch = max(1.0 / scale, 1.0)
    support = (1.0 if kernel == "linear" else 2.0) * stretch
    first = np.floor(at.astype(np.float64) - support).astype(np.int64)
    indices = first[:, None] + np.arange(int(np.ceil(2 * support)) + 2)
    distance = np.abs((indices - at[:, None].astype(np.float64)) / stretch)
    weights = np.maximum(1 - distance, 0) if kernel == "linear" else _keys(distance, a)
    if exclude_outside:
        weights = np.where((indices < 0) | (indices >= size), 0, weights)
    weights /= weights.sum(1, keepdims=True)
    return Taps(indices.clip(0, size - 1), weights.astype(np.float32))


def _keys(distance: Array, a: float) -> Array:
    """Keys' cubic convolution kernel (1981)."""
    d = np.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def ranges(size: int, out: int) -> Taps:
    """The mean over as many ranges as there are elements, which cover the axis; as of adaptive pooling."""
    first = np.arange(out) * size // out
    last = -(-(np.arange(1, out + 1) * size) // out)
    indices = first[:, None] + np.arange(int((last - first).max()))
    weights = (indices < last[:, None]) / (last - first)[:, None]
    return Taps(indices.clip(0, size - 1), weights.astype(np.float32))
