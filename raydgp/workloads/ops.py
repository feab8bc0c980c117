"""The operators of the papers' networks, fp32, with logical layouts NCHW and OIHW."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from raydgp.errors import InputError
from raydgp.workloads.base import Array, Workload

_CONVOLUTION = "raydgp.templates.operators:convolution"
_FROM_CONVOLUTION = {"nn.conv2d": "raydgp.models.anchors:convolution"}


@dataclass(frozen=True, kw_only=True)
class Convolution(Workload):
    """What every two-dimensional convolution has; extents in elements."""

    channel_axis: ClassVar[int | None] = 1
    plain: ClassVar[str] = _CONVOLUTION
    n: int
    ci: int
    h: int
    w: int
    kh: int
    kw: int
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.oh < 1 or self.ow < 1:
            raise InputError(
                f"{self.op}: a {self.kh}x{self.kw} kernel with dilation {self.dilation} does not fit into "
                f"{self.h}x{self.w} padded by {self.padding}; enlarge the input or the padding"
            )

    @property
    def oh(self) -> int:
        """Output height."""
        return (self.h + 2 * self.padding[0] - self.dilation[0] * (self.kh - 1) - 1) // self.stride[0] + 1

    @property
    def ow(self) -> int:
        """Output width."""
        return (self.w + 2 * self.padding[1] - self.dilation[1] * (self.kw - 1) - 1) // self.stride[1] + 1

    @property
    def channels_out(self) -> int:
        """Output channels."""
        raise NotImplementedError

    @property
    def convolution_groups(self) -> int:
        """Groups of channels, each of which reads its own input channels."""
        return 1

    @property
    def flops(self) -> int:
        terms = self.ci // self.convolution_groups * self.kh * self.kw
        return 2 * self.n * self.channels_out * self.oh * self.ow * terms

    @property
    def group(self) -> str:
        """Same operator, kernel size and stride, stride ignored for 1x1 (docs/facts.md, Deep Gaussian processes)."""
        if self.kh == self.kw == 1:
            return f"{self.op}_1x1"
        return f"{self.op}_{self.kh}x{self.kw}_s{self.stride[0]}x{self.stride[1]}"

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        weight = (self.channels_out, self.ci // self.convolution_groups, self.kh, self.kw)
        return (self.n, self.ci, self.h, self.w), weight

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (self.n, self.channels_out, self.oh, self.ow)

    def windows(self, data: Array) -> Array:
        """Input under the kernel at every output position, a view: [n, ci, oh, ow, kh, kw]."""
        (pad_h, pad_w), (dilation_h, dilation_w) = self.padding, self.dilation
        padded = np.pad(data, ((0, 0), (0, 0), (pad_h, pad_h), (pad_w, pad_w)))
        extent = (dilation_h * (self.kh - 1) + 1, dilation_w * (self.kw - 1) + 1)
        windows = sliding_window_view(padded, extent, axis=(2, 3))
        return windows[:, :, :: self.stride[0], :: self.stride[1], ::dilation_h, ::dilation_w]

    def sizes(self) -> dict[str, float]:
        shape = {"ci": self.ci, "co": self.channels_out, "oh": self.oh, "ow": self.ow, "batch": self.n}
        return {**shape, "kernel": self.kh * self.kw, "stride": self.stride[0], "flops": self.flops}


@dataclass(frozen=True, kw_only=True)
class Conv2d(Convolution):
    """Dense 2-D convolution: data [n, ci, h, w], weight [co, ci, kh, kw] -> [n, co, oh, ow]."""

    op: ClassVar[str] = "conv2d"
    relax: ClassVar[Mapping[str, str]] = _FROM_CONVOLUTION
    co: int

    @property
    def channels_out(self) -> int:
        return self.co

    @property
    def label(self) -> str:
        return f"conv{self.kh}x{self.kw}_{self.ci}_{self.co}_{self.oh}"

    def reference(self, *inputs: Array) -> Array:
        data, weight = inputs
        columns = self.windows(data).transpose(0, 1, 4, 5, 2, 3)
        matrix = columns.reshape(self.n, -1, self.oh * self.ow)
        return (weight.reshape(self.co, -1) @ matrix).reshape(self.output_shape)


@dataclass(frozen=True, kw_only=True)
class DepthwiseConv2d(Convolution):
    """Depthwise convolution, multiplier 1: data [n, ci, h, w], weight [ci, 1, kh, kw] -> [n, ci, oh, ow]."""

    op: ClassVar[str] = "depthwise_conv2d"

    @property
    def channels_out(self) -> int:
        return self.ci

    @property
    def convolution_groups(self) -> int:
        return self.ci

    @property
    def label(self) -> str:
        return f"depthwise{self.kh}x{self.kw}_{self.ci}_{self.oh}"

    def reference(self, *inputs: Array) -> Array:
        data, weight = inputs
        out: Array = np.einsum("ncyxab,cab->ncyx", self.windows(data), weight[:, 0], optimize=True)
        return out


@dataclass(frozen=True, kw_only=True)
class GroupConv2d(Convolution):
    """Convolution in groups: data [n, ci, h, w], weight [co, ci / groups, kh, kw] -> [n, co, oh, ow]."""

    op: ClassVar[str] = "group_conv2d"
    co: int
    groups: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ci % self.groups or self.co % self.groups:
            raise InputError(f"{self.op}: groups={self.groups} must divide ci={self.ci} and co={self.co}")

    @property
    def channels_out(self) -> int:
        return self.co

    @property
    def convolution_groups(self) -> int:
        return self.groups

    @property
    def label(self) -> str:
        return f"group{self.groups}_conv{self.kh}x{self.kw}_{self.ci}_{self.co}_{self.oh}"

    def sizes(self) -> dict[str, float]:
        """None: the surrogates that have been trained on convolutions in groups know none."""
        return {}

    def reference(self, *inputs: Array) -> Array:
        data, weight = inputs
        windows = self.windows(data)
        windows = windows.reshape(self.n, self.groups, -1, *windows.shape[2:])
        weights = weight.reshape(self.groups, -1, *weight.shape[1:])
        out: Array = np.einsum("ngcyxab,gfcab->ngfyx", windows, weights, optimize=True)
        return out.reshape(self.output_shape)


@dataclass(frozen=True, kw_only=True)
class Dense(Workload):
    """Fully connected layer: data [n, k], weight [m, k] -> [n, m]."""

    op: ClassVar[str] = "dense"
    plain: ClassVar[str] = "raydgp.templates.operators:dense"
    relax: ClassVar[Mapping[str, str]] = {"matmul": "raydgp.models.anchors:dense"}
    channel_axis: ClassVar[int | None] = -1
    n: int
    k: int
    m: int

    @property
    def flops(self) -> int:
        return 2 * self.n * self.m * self.k

    @property
    def label(self) -> str:
        return f"dense_{self.k}_{self.m}"

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        return (self.n, self.k), (self.m, self.k)

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (self.n, self.m)

    def reference(self, *inputs: Array) -> Array:
        data, weight = inputs
        return data @ weight.T

    def sizes(self) -> dict[str, float]:
        return {"n": self.n, "k": self.k, "m": self.m}
