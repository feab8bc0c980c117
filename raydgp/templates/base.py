"""What a schedule template is: one configuration of a space made into a kernel, and its data laid out for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from raydgp.targets import Target
from raydgp.workloads import Workload

if TYPE_CHECKING:
    import tvm
    from tvm import s_tir

Array = NDArray[np.float32]


class Template(Protocol):
    """Gives the knobs of one kind of space their meaning. Stateless."""

    def schedule(self, workload: Workload, knobs: dict[str, Any], target: Target) -> tvm.IRModule:
        """The scheduled module; its one PrimFunc `main` takes the arrays of `pack`, then the output."""

    def pack(self, workload: Workload, knobs: dict[str, Any], inputs: tuple[Array, ...]) -> list[Array]:
        """Logical inputs (as in `Workload`'s docstring) in the layouts the kernel takes."""

    def out_shape(self, workload: Workload, knobs: dict[str, Any]) -> tuple[int, ...]:
        """Shape of the kernel's output."""

    def unpack(self, workload: Workload, knobs: dict[str, Any], out: Array) -> Array:
        """The kernel's output in its logical layout."""


class PlainArrays:
    """The part of a template whose kernels take and give arrays in their logical layouts."""

    def pack(self, workload: Workload, knobs: dict[str, Any], inputs: tuple[Array, ...]) -> list[Array]:
        return [np.ascontiguousarray(array) for array in inputs]

    def out_shape(self, workload: Workload, knobs: dict[str, Any]) -> tuple[int, ...]:
        return workload.output_shape

    def unpack(self, workload: Workload, knobs: dict[str, Any], out: Array) -> Array:
        return out


@runtime_checkable
class RoundingTemplate(Template, Protocol):
    """A template whose kernels read less of their inputs than float32 holds.

    They are right if they compute what the operator makes of what they read. Against the inputs themselves, a right one
    would show an error of the order of the tolerance: float16 changes an output by 3e-4 of the largest one.
    """

    def rounded(self, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        """The logical inputs as the kernel reads them, in float32."""


class LayerTemplate(Template, Protocol):
    """A template that also serves the layers of a model: its parts are there one by one."""

    def compute(self, workload: Workload, knobs: dict[str, Any]) -> tvm.tirx.PrimFunc:
        """The kernel without a schedule."""

    def scheduled(self, workload: Workload, knobs: dict[str, Any], target: Target) -> s_tir.Schedule:
        """The schedule with its trace, which other users of TVM can apply to `compute`."""

    def pack_weight(self, workload: Workload, knobs: dict[str, Any], weight: Array) -> Array:
        """The weight alone, from its logical layout."""

    def pack_bias(self, workload: Workload, knobs: dict[str, Any], bias: Array) -> Array:
        """A bias of the epilogue alone, from [co]."""
