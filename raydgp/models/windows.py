"""Pooling with every padding, rounding and dilation, as ONNX and torch define it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, prod
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax, te, tirx

Ints = Sequence[int]


@dataclass(frozen=True)
class Window:
    """How a window moves along the spatial axes; each attribute has an entry for each of them.

    Attributes:
        size: of the input.
        kernel, stride, dilation: of the window.
        before, after: padding that the model asks for.
        out: positions.
    """

    size: Ints
    kernel: Ints
    stride: Ints
    dilation: Ints
    before: Ints
    after: Ints
    out: Ints

    @classmethod
    def of(cls, size: Ints, kernel: Ints, stride: Ints, dilation: Ints, pads: Ints, ceil_mode: bool) -> Window:
        """A window whose positions are counted from its padding.

        Args:
            pads: before all axes, then after all.
            ceil_mode: whether the last position may reach beyond; it begins inside, or in the padding before.
        """
        before, after = pads[: len(size)], pads[len(size) :]
        out = []
        for s, k, d, step, b, a in zip(size, kernel, dilation, stride, before, after, strict=True):
            exact = (s + b + a - d * (k - 1) - 1) / step
            last = ceil(exact) if ceil_mode else floor(exact)
            out.append(last if ceil_mode and last * step >= s + b else last + 1)
        return cls(size, kernel, stride, dilation, before, after, out)

    @classmethod
    def same(cls, size: Ints, kernel: Ints, stride: Ints, dilation: Ints, more_before: bool) -> Window:
        """A window padded so that it has as many positions as strides fit the input."""
        out = [ceil(s / step) for s, step in zip(size, stride, strict=True)]
        reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
        missing = [max(0, (o - 1) * step + r - s) for o, step, r, s in zip(out, stride, reach, size, strict=True)]
        less, more = [m // 2 for m in missing], [m - m // 2 for m in missing]
        return cls(size, kernel, stride, dilation, *((more, less) if more_before else (less, more)), out)

    @property
    def needed(self) -> list[int]:
        """Padding behind the input that the last window reaches into; more than `after` where sizes are rounded up."""
        lines = zip(self.out, self.stride, self.dilation, self.kernel, self.size, self.before, strict=True)
        return [max(0, (o - 1) * step + d * (k - 1) + 1 - s - b) for o, step, d, k, s, b in lines]

    @property
    def plain(self) -> bool:
        """Whether TVM's operators on images mean the same: two axes, padded as asked for, no more."""
        reached = all(need <= a for need, a in zip(self.needed, self.after, strict=True))
        return reached and len(self.size) == 2 and all(d == 1 for d in self.dilation)

    def counts(self, padded: bool) -> NDArray[np.float32]:
        """Elements in each window, those of the asked-for padding among them or not, float32[out...]."""
        total = np.ones((), np.float32)
        for axis, length in enumerate(self.out):
            at = np.arange(length)[:, None] * self.stride[axis] + np.arange(self.kernel[axis]) * self.dilation[axis]
            low, high = self.before[axis], self.before[axis] + self.size[axis]
            if padded:
                low, high = 0, high + self.after[axis]
            inside = ((at >= low) & (at < high)).sum(1).astype(np.float32)
            total = np.multiply.outer(total, inside)
        return np.maximum(total, 1)


def averaged(
    builder: relax.BlockBuilder, x: relax.Expr, window: Window, padded: bool, divisor: float | None = None
) -> relax.Expr:
    """The mean of each window.

    Args:
        x: [n, c, spatial...].
        padded: whether the padding is counted.
        divisor: in place of the count.
    """
    dtype = str(x.ty.dtype)
    if window.plain and divisor is None and dtype == "float32":
        pads = [*window.before, *window.after]
        return relax.op.nn.avg_pool2d(x, list(window.kernel), list(window.stride), pads, [1, 1], False, padded)
    total = reduced(builder, x, window, "sum")
    counts = window.counts(padded) if divisor is None else np.array(divisor)
    return total * relax.const(tvm.runtime.tensor((1 / counts).astype(dtype)))


def largest(builder: relax.BlockBuilder, x: relax.Expr, window: Window) -> relax.Expr:
    """The maximum of each window of [n, c, spatial...]."""
    if window.plain and str(x.ty.dtype) == "float32":
        pads = [*window.before, *window.after]
        return relax.op.nn.max_pool2d(x, list(window.kernel), list(window.stride), pads)
    return reduced(builder, x, window, "max")


def reduced(builder: relax.BlockBuilder, x: relax.Expr, window: Window, kind: str, power: float = 1.0) -> relax.Expr:
    """Each window by one reduction.

    Args:
        kind: `sum`, or `max`.
        power: that the elements' magnitudes are raised to before they are summed.
    """
    size, dtype = window.size, str(x.ty.dtype)

    def compute(data: te.Tensor) -> te.Tensor:
        taps = [te.reduce_axis((0, k), f"k{axis}") for axis, k in enumerate(window.kernel)]
        outside = tirx.min_value(dtype) if kind == "max" else tirx.const(0, dtype)

        def element(n: Any, c: Any, *at: Any) -> Any:
            lines = zip(at, taps, window.stride, window.dilation, window.before, strict=True)
            source = [place * step + tap * d - b for place, tap, step, d, b in lines]
            inside = [tirx.all(place >= 0, place < s) for place, s in zip(source, size, strict=True)]
            value = data(n, c, *source)
            if power != 1:
                value = tirx.power(tirx.abs(value), tirx.const(power, dtype))
            value = tirx.if_then_else(tirx.all(*inside), value, outside)
            return te.max(value, axis=taps) if kind == "max" else te.sum(value, axis=taps)

        return te.compute((*data.shape[:2], *window.out), element, name="pool")

    return builder.emit_te(compute, x, primfunc_name_hint="pool")


def with_places(
    builder: relax.BlockBuilder, x: relax.Expr, window: Window, by_columns: bool = False, whole: bool = False
) -> list[relax.Expr]:
    """The maximum of each window, and where it is: the first of equal ones.

    Args:
        by_columns: whether places count along the first spatial axis first.
        whole: whether they are places in the whole tensor, rather than in a channel's plane.

    Returns:
        Values, and int64 places.
    """
    n, c, *_ = (int(extent) for extent in x.ty.shape)
    rank, emit, dtype = len(window.size), builder.emit, str(x.ty.dtype)
    lowest = float(np.finfo(dtype).min) if dtype.startswith("float") else float(np.iinfo(dtype).min)
    behind = [max(pair) for pair in zip(window.needed, window.after, strict=True)]
    pads = [0, 0, 0, 0, *(edge for pair in zip(window.before, behind, strict=True) for edge in pair)]
    padded = emit(relax.op.nn.pad(x, pads, "constant", lowest)) if any(pads) else x
    weights = [prod(window.size[:a]) if by_columns else prod(window.size[a + 1 :]) for a in range(rank)]
    best: Any = None
    at: Any = None
    for offset in np.ndindex(*window.kernel):
        begin = [o * d for o, d in zip(offset, window.dilation, strict=True)]
        end = [b + (o - 1) * step + 1 for b, o, step in zip(begin, window.out, window.stride, strict=True)]
        value = emit(relax.op.strided_slice(padded, list(range(2, 2 + rank)), begin, end, list(window.stride)))
        place = np.zeros(window.out, np.int64)
        for axis in range(rank):
            line = np.arange(window.out[axis]) * window.stride[axis] + begin[axis] - window.before[axis]
            place += line.reshape([-1 if k == axis else 1 for k in range(rank)]) * weights[axis]
        constant = relax.const(tvm.runtime.tensor(np.array(np.broadcast_to(place, (n, c, *window.out)))))
        if best is None:
            best, at = value, constant
            continue
        larger = emit(relax.op.greater(value, best))
        at, best = emit(relax.op.where(larger, constant, at)), emit(relax.op.where(larger, value, best))
    if whole:
        planes = np.arange(n * c, dtype=np.int64).reshape([n, c] + [1] * rank) * prod(window.size)
        at = emit(at + relax.const(tvm.runtime.tensor(planes)))
    return [best, at]
