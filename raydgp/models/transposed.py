"""A transposed convolution as a convolution and a shuffle of its outputs, which templates and layouts know.

Every stride-th output along an axis is a convolution of the input with every stride-th place of the kernel (Shi et al.
2016, "Is the deconvolution layer the same as a convolutional layer?"). All of them together are one convolution, whose
channels are phases times output channels; an output pixel lies where its phase says. A phase that reads less of the
window than others has zeros there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

Array = NDArray[np.float32]
_AXES = {tvm.ir.Op.get(f"relax.nn.conv{rank}d_transpose"): rank for rank in (1, 2, 3)}
SHUFFLE = (0, 3, 4, 1, 5, 2)  # axes of [n, phases, phases, channels, rows, columns], between two reshapes


def without_transposed(module: tvm.IRModule) -> tvm.IRModule:
    """The module with its transposed convolutions of constant weights written as convolutions."""
    called = relax.analysis.get_var2val(module["main"]).values()
    if not any(isinstance(value, relax.Call) and value.op in _AXES for value in called):
        return module
    rewriter = _Rewriter(module)
    rewriter.builder_.update_func(module.get_global_var("main"), rewriter.visit_expr(module["main"]))
    return relax.transform.CanonicalizeBindings()(rewriter.builder_.get())


@dataclass(frozen=True)
class _Line:
    """One axis.

    Attributes:
        taps: [phases, window] places in the kernel; -1 where a phase reads nothing.
        before, after: padding of the data.
        out: elements of the output.
    """

    taps: NDArray[np.int64]
    before: int
    after: int
    out: int

    @classmethod
    def of(cls, size: int, kernel: int, stride: int, before: int, after: int, extra: int) -> _Line | None:
        """None where padding removes more than the first pixel reaches."""
        out = (size - 1) * stride - before - after + kernel + extra
        read = {  # output stride * q + phase reads the input at q + offset by a place of the kernel
            (phase, (phase + before - place) // stride): place
            for phase in range(stride)
            for place in range((phase + before) % stride, kernel, stride)
        }
        first, last = min(offset for _, offset in read), max(offset for _, offset in read)
        if first > 0:
            return None
        taps = np.full((stride, last - first + 1), -1)
        for (phase, offset), place in read.items():
            taps[phase, offset - first] = place
        return cls(taps, -first, max(0, -(-out // stride) + last - size), out)


@mutator
class _Rewriter(PyExprMutator):
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = super().visit_call_(call)
        written = _shuffled(self.builder_, call) if call.op in _AXES else None
        return call if written is None else written


def _shuffled(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr | None:
    """The same by a convolution; None where it has no form for it."""
    attrs, (data, weight), rank = call.attrs, call.args, _AXES[call.op]
    groups = int(attrs.groups)
    plain = attrs.data_layout[:2] == attrs.out_layout[:2] == "NC" and attrs.kernel_layout[:2] == "IO"
    if not plain or not isinstance(weight, tvm.ir.GenericConst) or any(int(d) != 1 for d in attrs.dilation):
        return None
    kernel = weight.value.numpy()
    n, ci, *size = (int(extent) for extent in data.ty.shape)
    strides, extra, pads = ([int(v) for v in given] for given in (attrs.strides, attrs.output_padding, attrs.padding))
    found = [
        _Line.of(*line) for line in zip(size, kernel.shape[2:], strides, pads[:rank], pads[rank:], extra, strict=True)
    ]
    lines = [line for line in found if line]
    if len(lines) < rank:
        return None
    ends = [line.out for line in lines]
    if rank == 1:  # templates are of two axes
        data = builder.emit(relax.op.reshape(data, (n, ci, 1, *size)))
        kernel, strides = kernel[:, :, None], [1, *strides]
        lines = [_Line(np.zeros((1, 1), np.int64), 0, 0, 1), *lines]
    before, after = [line.before for line in lines], [line.after for line in lines]
    if before != after:
        edges = [edge for line in lines for edge in (line.before, line.after)]
        data = builder.emit(relax.op.nn.pad(data, [0, 0, 0, 0, *edges]))
        before = after = [0] * len(lines)
    phases = relax.const(_phases(kernel, [line.taps for line in lines], groups), str(weight.ty.dtype))
    convolution = relax.op.nn.conv3d if rank == 3 else relax.op.nn.conv2d
    out = builder.emit(convolution(data, phases, padding=[*before, *after], groups=groups))
    out = builder.normalize(_placed(builder, out, strides, groups, kernel.shape[1]))
    _, channels, *made = (int(extent) for extent in out.ty.shape)
    if made[-rank:] != ends:
        axes = list(range(out.ty.ndim - rank, out.ty.ndim))
        out = builder.emit(relax.op.strided_slice(out, axes, [0] * rank, ends))
    return builder.emit(relax.op.reshape(out, (n, channels, *ends))) if rank == 1 else out


def _placed(builder: relax.BlockBuilder, out: relax.Expr, strides: list[int], groups: int, channels: int) -> relax.Expr:
    """The phases of a convolution's outputs at their places; channels are a group's."""
    n, _, *size = (int(extent) for extent in out.ty.shape)
    if all(stride == 1 for stride in strides):
        return out
    rank, before = len(strides), [n] if groups == 1 else [n, groups]
    first = len(before)  # of the phases' axes, which are followed by the channels and the data's own
    axes = [*range(first), first + rank]
    axes += [axis for place in range(rank) for axis in (first + rank + 1 + place, first + place)]
    out = builder.emit(relax.op.reshape(out, (*before, *strides, channels, *size)))
    out = builder.emit(relax.op.permute_dims(out, axes))
    whole = (length * stride for length, stride in zip(size, strides, strict=True))
    return builder.emit(relax.op.reshape(out, (n, groups * channels, *whole)))


def _phases(kernel: Array, taps: list[NDArray[np.int64]], groups: int) -> Array:
    """[ci, co, *kernel] as [groups * phases * co, ci / groups, *window], phases and windows of all axes."""
    rank = len(taps)
    padded = np.pad(kernel, [(0, 0), (0, 0), *[(0, 1)] * rank])  # the last of each axis, at -1, is zeros
    places: list[Any] = []
    for axis, line in enumerate(taps):  # phases of all axes first, then windows
        shape = [1] * (2 * rank)
        shape[axis], shape[rank + axis] = line.shape
        places.append(line.reshape(shape))
    taken: Any = padded[(slice(None), slice(None), *places)]  # [ci, co, *phases, *window]
    ci, co, *rest = taken.shape
    taken = taken.reshape(groups, ci // groups, co, *rest)
    taken = taken.transpose(0, *range(3, 3 + rank), 2, 1, *range(3 + rank, 3 + 2 * rank))
    return np.ascontiguousarray(taken.reshape(-1, ci // groups, *rest[rank:]))
