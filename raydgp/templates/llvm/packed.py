"""What the hand-written CPU templates share: a compute on packed arrays, the steps that schedule it, packing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import tvm
from tvm import s_tir

from raydgp.targets import Target
from raydgp.templates.base import Array
from raydgp.templates.epilogue import pack_bias, pack_extra
from raydgp.workloads import Workload


class PackedTemplate(ABC):
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

    def pack(self, workload: Workload, knobs: dict[str, Any], inputs: tuple[Array, ...]) -> list[Array]:
        data, weight, *extra = inputs
        _, outer, *_, block = self.out_shape(workload, knobs)
        return [
            self.pack_data(workload, knobs, data),
            self.pack_weight(workload, knobs, weight),
            *pack_extra(workload, extra, outer, block),
        ]

    @abstractmethod
    def compute(self, workload: Workload, knobs: dict[str, Any]) -> tvm.tirx.PrimFunc:
        """The kernel without a schedule."""

    @abstractmethod
    def apply(self, sch: s_tir.Schedule, knobs: dict[str, Any]) -> None:
        """Schedules the blocks of `compute`."""

    @abstractmethod
    def pack_data(self, workload: Workload, knobs: dict[str, Any], data: Array) -> Array:
        """The data alone, from its logical layout."""

    @abstractmethod
    def pack_weight(self, workload: Workload, knobs: dict[str, Any], weight: Array) -> Array:
        """The weight alone, from its logical layout."""

    def pack_bias(self, workload: Workload, knobs: dict[str, Any], bias: Array) -> Array:
        """A bias of the epilogue, from [co], in the blocks of the output."""
        _, outer, *_, block = self.out_shape(workload, knobs)
        return pack_bias(bias, outer, block)

    @abstractmethod
    def out_shape(self, workload: Workload, knobs: dict[str, Any]) -> tuple[int, ...]:
        """[n, outer, ..., block]: channels, in whole blocks, are the second dimension and the last."""

    @abstractmethod
    def unpack(self, workload: Workload, knobs: dict[str, Any], out: Array) -> Array:
        """The kernel's output in its logical layout."""
