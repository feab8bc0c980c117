"""What every kernel must compute: the operators in numpy, and inputs to try them on."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from raydgp.templates.traced.code import random_arrays, run_plain
from raydgp.workloads import Conv2d, Dense, DepthwiseConv2d, Fused, GroupConv2d, TracedKernel, Workload

Array = NDArray[np.float32]


def random_inputs(workload: Workload, seed: int) -> tuple[Array, ...]:
    """Standard normal arrays in their logical layouts (see the workload's docstring), or a kernel's arrays."""
    rng = np.random.default_rng(seed)
    if isinstance(workload, TracedKernel):
        return random_arrays(workload, rng)
    return tuple(rng.standard_normal(shape, np.float32) for shape in input_shapes(workload))


def input_shapes(workload: Workload) -> tuple[tuple[int, ...], ...]:
    """Shapes of data, weight and what else it takes, in their logical layouts."""
    match workload:
        case Conv2d(n=n, ci=ci, h=h, w=w, co=co, kh=kh, kw=kw):
            return (n, ci, h, w), (co, ci, kh, kw)
        case DepthwiseConv2d(n=n, ci=ci, h=h, w=w, kh=kh, kw=kw):
            return (n, ci, h, w), (ci, 1, kh, kw)
        case GroupConv2d(n=n, ci=ci, h=h, w=w, co=co, kh=kh, kw=kw, groups=groups):
            return (n, ci, h, w), (co, ci // groups, kh, kw)
        case Dense(n=n, k=k, m=m):
            return (n, k), (m, k)
        case Fused(anchor=anchor, epilogue=steps):
            out = output_shape(anchor)
            extra = {"bias": out[1:2], "add": out}
            return (*input_shapes(anchor), *(extra[step] for step in steps if step in extra))
    raise TypeError(f"no reference for {workload.op}")


def output_shape(workload: Workload) -> tuple[int, ...]:
    """Shape of the output in its logical layout."""
    match workload:
        case Conv2d(n=n, co=co, oh=oh, ow=ow) | GroupConv2d(n=n, co=co, oh=oh, ow=ow):
            return (n, co, oh, ow)
        case DepthwiseConv2d(n=n, ci=ci, oh=oh, ow=ow):
            return (n, ci, oh, ow)
        case Dense(n=n, m=m):
            return (n, m)
        case Fused(anchor=anchor):
            return output_shape(anchor)
    raise TypeError(f"no reference for {workload.op}")


def reference(workload: Workload, inputs: tuple[Array, ...]) -> Array:
    """The operator's output in its logical layout, by matrix products of float32; a kernel without a schedule."""
    if isinstance(workload, TracedKernel):
        return run_plain(workload, inputs)
    data, weight, *extra = inputs
    match workload:
        case Fused(anchor=anchor):
            return _finished(workload, reference(anchor, (data, weight)), extra)
        case Conv2d():
            columns = _windows(workload, data).transpose(0, 1, 4, 5, 2, 3)
            matrix = columns.reshape(workload.n, -1, workload.oh * workload.ow)
            return (weight.reshape(workload.co, -1) @ matrix).reshape(workload.n, -1, workload.oh, workload.ow)
        case DepthwiseConv2d():
            return np.einsum("ncyxab,cab->ncyx", _windows(workload, data), weight[:, 0], optimize=True)
        case GroupConv2d(groups=groups):
            windows = _windows(workload, data)
            windows = windows.reshape(workload.n, groups, -1, *windows.shape[2:])
            weights = weight.reshape(groups, -1, *weight.shape[1:])
            out = np.einsum("ngcyxab,gfcab->ngfyx", windows, weights, optimize=True)
            return out.reshape(output_shape(workload))
        case Dense():
            return data @ weight.T
    raise TypeError(f"no reference for {workload.op}")


def _finished(workload: Fused, out: Array, arrays: list[Array]) -> Array:
    """The epilogue's steps on the anchor's output."""
    rest = iter(arrays)
    for step in workload.epilogue:
        if step == "bias":
            out = out + next(rest).reshape(1, -1, *[1] * (out.ndim - 2))
        elif step == "add":
            out = out + next(rest)
        else:
            out = np.clip(out, 0, 6 if step == "relu6" else None)
    return out


def _windows(w: Conv2d | DepthwiseConv2d | GroupConv2d, data: Array) -> Array:
    """Input under the kernel at every output position, a view: [n, ci, oh, ow, kh, kw]."""
    (pad_h, pad_w), (dilation_h, dilation_w) = w.padding, w.dilation
    padded = np.pad(data, ((0, 0), (0, 0), (pad_h, pad_h), (pad_w, pad_w)))
    extent = (dilation_h * (w.kh - 1) + 1, dilation_w * (w.kw - 1) + 1)
    windows = sliding_window_view(padded, extent, axis=(2, 3))
    return windows[:, :, :: w.stride[0], :: w.stride[1], ::dilation_h, ::dilation_w]
