"""What the CUDA templates of fp32 layers share: plain arrays, steps of a schedule, block `out` that ends it."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import tvm
from tvm import s_tir, te

from raydgp.targets import Target
from raydgp.templates.base import PlainArrays
from raydgp.templates.epilogue import finished
from raydgp.templates.layouts import Array, Layout
from raydgp.workloads import Workload


class Unpacked(PlainArrays):
    """A `LayerTemplate` of one anchor operator, alone or fused, that takes and gives NCHW, OIHW and row-major arrays.

    The kernel takes the data, the weight and, of a fused layer, the arrays of its epilogue: a bias [co], and what is
    added in the output's shape. It writes its output once, by block `out`, which has the steps of the epilogue.
    """

    def schedule(self, workload: Workload, knobs: dict[str, Any], target: Target) -> tvm.IRModule:
        return self.scheduled(workload, knobs, target).mod

    def scheduled(self, workload: Workload, knobs: dict[str, Any], target: Target) -> s_tir.Schedule:
        """The schedule with its trace, which other users of TVM can apply to `compute`."""
        sch = s_tir.Schedule(self.compute(workload, knobs), debug_mask=0, error_render_level="none")
        self.apply(sch, workload, knobs)
        return sch

    def layouts(self, workload: Workload, knobs: dict[str, Any]) -> list[Layout]:
        data, _, *extra = super().layouts(workload, knobs)
        return [data, self.weight_layout(workload), *extra]

    def weight_layout(self, workload: Workload) -> Layout:
        """Of the weight, which keeps its logical layout, whatever the knobs."""
        return Layout()

    def pack_weight(self, workload: Workload, knobs: dict[str, Any], weight: Array) -> Array:
        """The weight alone, from its logical layout."""
        return self.weight_layout(workload).apply(weight)

    def pack_bias(self, workload: Workload, knobs: dict[str, Any], bias: Array) -> Array:
        """A bias of the epilogue, from [co], which it keeps."""
        return bias

    @abstractmethod
    def compute(self, workload: Workload, knobs: dict[str, Any]) -> tvm.tirx.PrimFunc:
        """The kernel without a schedule."""

    @abstractmethod
    def apply(self, sch: s_tir.Schedule, workload: Workload, knobs: dict[str, Any]) -> None:
        """Schedules the blocks of `compute`."""


def kernel(workload: Workload, data: te.Tensor, weight: te.Tensor, summed: te.Tensor) -> tvm.tirx.PrimFunc:
    """The function that computes `summed` out of data and weight, and the layer's output in block `out`."""
    finish = finished(workload, summed, workload.output_shape, channels=(1,))
    return te.create_prim_func([data, weight, *finish])
