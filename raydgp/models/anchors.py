"""Calls of a Relax model read as workloads: what `Workload.relax` names.

Each takes the call, the shape of its data and its constant weight, and gives the workload with the weight in its
logical layout; None where there is no workload of it.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raydgp.workloads import Conv2d, Dense, DepthwiseConv2d, GroupConv2d, Workload

Array = NDArray[np.float32]
Anchored = tuple[Workload, Array] | None


def convolution(call: Any, data: tuple[int, ...], weight: Array) -> Anchored:
    """`nn.conv2d` on plain layouts with the same padding on both sides."""
    attrs = call.attrs
    top, left, bottom, right = (int(p) for p in attrs.padding)
    groups = int(attrs.groups)
    plain = attrs.data_layout == "NCHW" and attrs.kernel_layout == "OIHW" and attrs.out_layout == "NCHW"
    if not plain or (top, left) != (bottom, right):
        return None
    n, ci, h, w = data
    co, _, kh, kw = weight.shape
    pairs = {key: tuple(int(v) for v in getattr(attrs, key)) for key in ("strides", "dilation")}
    geometry: Any = {"stride": pairs["strides"], "dilation": pairs["dilation"], "padding": (top, left)}
    geometry |= {"n": n, "ci": ci, "h": h, "w": w, "kh": kh, "kw": kw}
    if groups == 1:
        return Conv2d(co=co, **geometry), weight
    if groups == ci == co:
        return DepthwiseConv2d(**geometry), weight
    return GroupConv2d(co=co, groups=groups, **geometry), weight


def dense(call: Any, data: tuple[int, ...], weight: Array) -> Anchored:
    """`matmul` of rows, however many axes they are spread over, and one matrix [k, m]."""
    if weight.ndim != 2 or len(data) < 2:
        return None
    k, m = weight.shape
    return Dense(n=prod(data[:-1]), k=k, m=m), weight.T
