"""A layer with what a model does to its output right after, as one kernel on channel-blocked or plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from raydgp.errors import InputError
from raydgp.workloads import activations
from raydgp.workloads.base import Array, Workload

BY_CHANNEL = ("bias", "prelu")  # steps that take an array of a number for each channel
WITH_ARRAY = (*BY_CHANNEL, "add")
ALGORITHMS = ("direct", "winograd")


@dataclass(frozen=True, kw_only=True)
class Fused(Workload):
    """An anchor operator, then elementwise steps.

    Arrays, in this order: data, weight, one for each step in `WITH_ARRAY`: `bias` [co], `prelu` [co] (the slope
    below 0), `add` of the output's shape.
    Logical layouts are the anchor's. In memory, an activation of c channels with block b is [n, ceil(c / b), h, w, b],
    zeros where there is no channel; with block 1 it is plain [n, c, h, w]. Dense has plain [n, k] and [n, m].

    Attributes:
        anchor: the operator that a schedule template is for.
        epilogue: steps, in order: those of `WITH_ARRAY`, and those of `raydgp.workloads.activations`.
        block_in, block_out: channel blocks of the data and of the output; what is added has the output's.
        algorithm: what computes the anchor. Another algorithm has a space of its own, and is a task of its own.
    """

    op: ClassVar[str] = "fused"
    anchor: Any  # a Workload, of whose fields templates know more than this class
    epilogue: tuple[str, ...] = ()
    block_in: int = 1
    block_out: int = 1
    algorithm: str = "direct"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.anchor, Workload) or self.anchor.channel_axis is None:
            raise InputError(f"fused: the anchor must be a convolution or a dense layer, not {self.anchor!r}")
        object.__setattr__(self, "epilogue", tuple(self.epilogue))
        for step in self.epilogue:
            if not isinstance(step, str):
                raise InputError(f"fused: step {step!r} in the epilogue must be a text")
            if step not in WITH_ARRAY:
                activations.check(step)
        if self.algorithm not in ALGORITHMS:
            raise InputError(f"fused: unknown algorithm {self.algorithm!r}; known are {', '.join(ALGORITHMS)}")

    @property
    def layer(self) -> Workload:
        return replace(self, algorithm="direct")

    @property
    def flops(self) -> int:
        """Those of the anchor computed directly: the same measure with and without an epilogue, by any algorithm."""
        return int(self.anchor.flops)

    @property
    def group(self) -> str:
        """The anchor's: what was learnt of it holds for both; that of another algorithm is apart."""
        return self.anchor.group if self.algorithm == "direct" else f"{self.anchor.group}-{self.algorithm}"

    def to_dict(self) -> dict[str, Any]:
        out = {**super().to_dict(), "anchor": self.anchor.to_dict(), "epilogue": list(self.epilogue)}
        if self.algorithm == "direct":
            del out["algorithm"]  # records from before there was another one keep their spaces' hashes
        return out

    def __str__(self) -> str:
        how = [f"by {self.algorithm}"] if self.algorithm != "direct" else []
        return " ".join([" + ".join([str(self.anchor), *self.epilogue]), *how])

    @property
    def label(self) -> str:
        how = f"_{self.algorithm}" if self.algorithm != "direct" else ""
        return f"{self.anchor.label}{how}"

    @property
    def channels(self) -> int:
        """Output channels, or outputs of a dense layer."""
        return int(self.anchor.output_shape[self.anchor.channel_axis])

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        extra = {**dict.fromkeys(BY_CHANNEL, (self.channels,)), "add": self.output_shape}
        return (*self.anchor.input_shapes, *(extra[step] for step in self.epilogue if step in extra))

    @property
    def output_shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.anchor.output_shape
        return shape

    def reference(self, *inputs: Array) -> Array:
        """The anchor's output, then the steps of the epilogue."""
        own = len(self.anchor.input_shapes)
        out: Array = self.anchor.reference(*inputs[:own])
        rest = iter(inputs[own:])
        along = [1] * out.ndim
        along[self.anchor.channel_axis] = -1
        for step in self.epilogue:
            if step == "bias":
                out = out + next(rest).reshape(along)
            elif step == "prelu":
                out = np.where(out > 0, out, out * next(rest).reshape(along))
            elif step == "add":
                out = out + next(rest)
            else:
                out = activations.activated(step, out, activations.InNumpy())
        return out

    def sizes(self) -> dict[str, float]:
        sizes: dict[str, float] = self.anchor.sizes()
        return sizes
