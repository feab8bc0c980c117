"""What the hand-written CPU templates share: a compute on packed arrays, the steps that schedule it, packing."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import tvm
from tvm import s_tir

from raydgp.targets import Target
from raydgp.templates.base import LaidOut
from raydgp.templates.layouts import Array, Layout, bias_in_blocks, in_blocks, out_of_blocks
from raydgp.workloads import Workload


class PackedTemplate(LaidOut):
    """A `LayerTemplate` of one anchor operator, alone or fused; its output [n, outer, ..., block] is channel-blocked.

    The kernel takes the data, the weight and, of a fused layer, the arrays of its epilogue, blocked like the output.
    """

    def schedule(self, workload: Workload, knobs: dict[str, Any], target: Target) -> tvm.IRModule:
        return self.scheduled(workload, knobs, target).mod

    def scheduled(self, workload: Workload, knobs: dict[str, Any], target: Target) -> s_tir.Schedule:
        """The schedule with its trace, which other users of TVM can apply to `compute`."""
        sch = s_tir.Schedule(self.compute(workload, knobs), debug_mask=0, error_render_level="none")
        self.apply(sch, knobs)
        return sch

    def layouts(self, workload: Workload, knobs: dict[str, Any]) -> list[Layout]:
        _, outer, *_, block = self.out_shape(workload, knobs)
        _, _, *extra = workload.input_shapes
        return [
            self.data_layout(workload, knobs),
            self.weight_layout(workload, knobs),
            *(
                bias_in_blocks(*shape, outer, block) if len(shape) == 1 else in_blocks(shape, outer, block)
                for shape in extra
            ),
        ]

    def out_layout(self, workload: Workload, knobs: dict[str, Any]) -> Layout:
        _, outer, *_, block = self.out_shape(workload, knobs)
        return out_of_blocks(workload.output_shape, outer, block)

    @abstractmethod
    def compute(self, workload: Workload, knobs: dict[str, Any]) -> tvm.tirx.PrimFunc:
        """The kernel without a schedule."""

    @abstractmethod
    def apply(self, sch: s_tir.Schedule, knobs: dict[str, Any]) -> None:
        """Schedules the blocks of `compute`."""

    @abstractmethod
    def data_layout(self, workload: Workload, knobs: dict[str, Any]) -> Layout:
        """Of the data, from its logical layout to the one that the kernel reads."""

    @abstractmethod
    def weight_layout(self, workload: Workload, knobs: dict[str, Any]) -> Layout:
        """Of the weight, from its logical layout to the one that the kernel reads."""

    def pack_weight(self, workload: Workload, knobs: dict[str, Any], weight: Array) -> Array:
        """The weight alone, from its logical layout."""
        return self.weight_layout(workload, knobs).apply(weight)

    def pack_bias(self, workload: Workload, knobs: dict[str, Any], bias: Array) -> Array:
        """A bias of the epilogue, from [co], in the blocks of the output."""
        _, outer, *_, block = self.out_shape(workload, knobs)
        return bias_in_blocks(len(bias), outer, block).apply(bias)

    @abstractmethod
    def out_shape(self, workload: Workload, knobs: dict[str, Any]) -> tuple[int, ...]:
        """[n, outer, ..., block]: channels, in whole blocks, are the second dimension and the last."""
