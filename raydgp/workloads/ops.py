"""Workloads: frozen, checked descriptions of one operator, fp32, with logical layout NCHW / OIHW."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

from raydgp.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One operator with its shapes. Equal workloads have equal kernels, whatever network they came from."""

    op: ClassVar[str]

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "tuple[int, int]":
                value = _pair(self.op, field.name, value)
                object.__setattr__(self, field.name, value)
                low = 0 if field.name == "padding" else 1
                bad = any(v < low for v in value)
            elif field.type == "int":
                low, bad = 1, isinstance(value, bool) or not isinstance(value, int) or value < 1
            else:
                continue  # a subclass's own business
            if bad:
                raise InputError(f"{self.op}: {field.name}={value!r} must be made of whole numbers of at least {low}")

    @property
    def flops(self) -> int:
        """Floating-point operations of one call, a multiply-add counted as two."""
        raise NotImplementedError

    @property
    def group(self) -> str:
        """Key of the workloads that share one pre-trained surrogate."""
        raise NotImplementedError

    @property
    def layer(self) -> Workload:
        """What it computes, whichever algorithm does: of the tasks of one layer, a model takes the fastest."""
        return self

    def to_dict(self) -> dict[str, Any]:
        return {"op": self.op, **dataclasses.asdict(self)}

    def __str__(self) -> str:
        return f"{self.op}({', '.join(f'{k}={v}' for k, v in dataclasses.asdict(self).items())})"


@dataclass(frozen=True, kw_only=True)
class _Convolution(Workload):
    """What every two-dimensional convolution has; extents in elements."""

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
    def group(self) -> str:
        """Same operator, kernel size and stride, stride ignored for 1x1 (facts/papers.md 1.2)."""
        if self.kh == self.kw == 1:
            return f"{self.op}_1x1"
        return f"{self.op}_{self.kh}x{self.kw}_s{self.stride[0]}x{self.stride[1]}"


@dataclass(frozen=True, kw_only=True)
class Conv2d(_Convolution):
    """Dense 2-D convolution: data [n, ci, h, w], weight [co, ci, kh, kw] -> [n, co, oh, ow]."""

    op: ClassVar[str] = "conv2d"
    co: int

    @property
    def flops(self) -> int:
        return 2 * self.n * self.co * self.oh * self.ow * self.ci * self.kh * self.kw


@dataclass(frozen=True, kw_only=True)
class DepthwiseConv2d(_Convolution):
    """Depthwise convolution, multiplier 1: data [n, ci, h, w], weight [ci, 1, kh, kw] -> [n, ci, oh, ow]."""

    op: ClassVar[str] = "depthwise_conv2d"

    @property
    def flops(self) -> int:
        return 2 * self.n * self.ci * self.oh * self.ow * self.kh * self.kw


@dataclass(frozen=True, kw_only=True)
class GroupConv2d(_Convolution):
    """Convolution in groups: data [n, ci, h, w], weight [co, ci / groups, kh, kw] -> [n, co, oh, ow]."""

    op: ClassVar[str] = "group_conv2d"
    co: int
    groups: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ci % self.groups or self.co % self.groups:
            raise InputError(f"{self.op}: groups={self.groups} must divide ci={self.ci} and co={self.co}")

    @property
    def flops(self) -> int:
        return 2 * self.n * self.co * self.oh * self.ow * self.ci // self.groups * self.kh * self.kw


@dataclass(frozen=True, kw_only=True)
class Dense(Workload):
    """Fully connected layer: data [n, k], weight [m, k] -> [n, m]."""

    op: ClassVar[str] = "dense"
    n: int
    k: int
    m: int

    @property
    def flops(self) -> int:
        return 2 * self.n * self.m * self.k

    @property
    def group(self) -> str:
        return self.op


def _pair(op: str, name: str, value: Any) -> tuple[int, int]:
    if not isinstance(value, list | tuple) or len(value) != 2 or any(type(v) is not int for v in value):
        raise InputError(f"{op}: {name}={value!r} must be a pair of whole numbers")
    return (value[0], value[1])
