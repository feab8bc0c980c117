"""A transposed convolution as a convolution and a shuffle of its outputs, which templates and layouts know.

Every stride-th output is a convolution of the input with every stride-th row and column of the kernel (Shi et al. 2016,
"Is the deconvolution layer the same as a convolutional layer?"). All of them together are one convolution, whose
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
_TRANSPOSED = "relax.nn.conv2d_transpose"
SHUFFLE = (0, 3, 4, 1, 5, 2)  # axes of [n, phases, phases, channels, rows, columns], between two reshapes


def without_transposed(module: tvm.IRModule) -> tvm.IRModule:
    """The module with its transposed convolutions of constant weights written as convolutions."""
    called = relax.analysis.get_var2val(module["main"]).values()
    if not any(isinstance(value, relax.Call) and value.op == tvm.ir.Op.get(_TRANSPOSED) for value in called):
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
        written = _shuffled(self.builder_, call) if call.op == tvm.ir.Op.get(_TRANSPOSED) else None
        return call if written is None else written


def _shuffled(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr | None:
    """The same by a convolution; None where it has no form for it."""
    attrs, (data, weight) = call.attrs, call.args
    layouts = (attrs.data_layout, attrs.kernel_layout, attrs.out_layout)
    plain = layouts == ("NCHW", "IOHW", "NCHW") and int(attrs.groups) == 1
    if not plain or not isinstance(weight, tvm.ir.GenericConst) or any(int(d) != 1 for d in attrs.dilation):
        return None
    kernel = weight.value.numpy()
    n, _, *size = (int(extent) for extent in data.ty.shape)
    strides, extra, pads = ([int(v) for v in given] for given in (attrs.strides, attrs.output_padding, attrs.padding))
    rows, columns = (
        _Line.of(*line) for line in zip(size, kernel.shape[2:], strides, pads[:2], pads[2:], extra, strict=True)
    )
    if rows is None or columns is None:
        return None
    before, after = [rows.before, columns.before], [rows.after, columns.after]
    if before != after:
        data = builder.emit(relax.op.nn.pad(data, [0, 0, 0, 0, before[0], after[0], before[1], after[1]]))
        before = after = [0, 0]
    phases = relax.const(_phases(kernel, rows.taps, columns.taps), str(weight.ty.dtype))
    out = builder.emit(relax.op.nn.conv2d(data, phases, padding=[*before, *after]))
    (high, wide), channels = strides, kernel.shape[1]
    _, _, h, w = (int(extent) for extent in out.ty.shape)
    if (high, wide) != (1, 1):
        out = builder.emit(relax.op.reshape(out, (n, high, wide, channels, h, w)))
        out = builder.emit(relax.op.permute_dims(out, list(SHUFFLE)))
        out = builder.emit(relax.op.reshape(out, (n, channels, h * high, w * wide)))
    ends = [rows.out, columns.out]
    if [h * high, w * wide] != ends:
        out = builder.emit(relax.op.strided_slice(out, [2, 3], [0, 0], ends))
    return out


def _phases(kernel: Array, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Array:
    """[ci, co, kh, kw] as [phases * phases * co, ci, window, window]."""
    padded = np.pad(kernel, [(0, 0), (0, 0), (0, 1), (0, 1)])  # the last row and column, at -1, are zeros
    taken: Any = padded[:, :, rows[:, None, :, None], columns[None, :, None, :]]  # [ci, co, ph, pw, kh, kw]
    ci, co, high, wide, kh, kw = taken.shape
    return np.ascontiguousarray(taken.transpose(2, 3, 1, 0, 4, 5).reshape(high * wide * co, ci, kh, kw))
