"""What follows an anchor operator within its kernel: bias, residual, activation, on channel-blocked or plain arrays."""

from __future__ import annotations

from typing import Any

from tvm import te, tirx

from raydgp.workloads import Fused, Workload
from raydgp.workloads.activations import activated
from raydgp.workloads.fused import BY_CHANNEL


class _InTir:
    """The functions of activations on TVM's expressions of float32."""

    def maximum(self, x: Any, bound: float) -> Any:
        return tirx.max(x, tirx.const(bound, "float32"))

    def minimum(self, x: Any, bound: float) -> Any:
        return tirx.min(x, tirx.const(bound, "float32"))

    def sigmoid(self, x: Any) -> Any:
        return tirx.sigmoid(x)

    def tanh(self, x: Any) -> Any:
        return tirx.tanh(x)

    def erf(self, x: Any) -> Any:
        return tirx.erf(x)


IN_TIR = _InTir()


def anchor_of(workload: Workload) -> Any:
    """The operator that a template is for: of a fused layer its anchor, else the workload itself."""
    return workload.anchor if isinstance(workload, Fused) else workload


def reads_plain(workload: Workload) -> bool:
    """Whether a convolution's data comes as [n, c, h, w], for the kernel to block it while it pads."""
    return isinstance(workload, Fused) and workload.block_in == 1


def finished(
    workload: Workload, conv: te.Tensor, shape: tuple[int, ...], channels: tuple[int, ...] = (1, -1)
) -> list[te.Tensor]:
    """The arrays that the epilogue takes, and last block `out`: what of `conv` lies within `shape`, and the steps.

    Args:
        channels: dimensions of `shape` that number them: the second in blocks of the last, or the second alone.
    """
    steps = workload.epilogue if isinstance(workload, Fused) else ()
    shapes = {**dict.fromkeys(BY_CHANNEL, tuple(shape[axis] for axis in channels)), "add": shape}
    arrays = {k: te.placeholder(shapes[step], name=f"{step}{k}") for k, step in enumerate(steps) if step in shapes}

    def element(*at: Any) -> Any:
        value = conv[at]
        for k, step in enumerate(steps):
            if step == "bias":
                value = value + arrays[k][tuple(at[axis] for axis in channels)]
            elif step == "add":
                value = value + arrays[k][at]
            elif step == "prelu":
                slope = arrays[k][tuple(at[axis] for axis in channels)]
                value = IN_TIR.maximum(value, 0.0) + IN_TIR.minimum(value, 0.0) * slope
            else:
                value = activated(step, value, IN_TIR)
        return value

    return [*arrays.values(), te.compute(shape, element, name="out")]
