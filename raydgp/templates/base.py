"""What a schedule template is: one configuration of a space made into a kernel, and its data laid out for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from raydgp.targets import Target
from raydgp.templates.layouts import Array, Layout
from raydgp.workloads import Workload

if TYPE_CHECKING:
    import tvm
    from tvm import s_tir


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


class LaidOut(ABC):
    """The part of a template whose layouts are data, as a bundle takes them to where raydgp is not."""

    @abstractmethod
    def layouts(self, workload: Any, knobs: dict[str, Any]) -> list[Layout]:
        """Of each logical input, to what the kernel takes in its place."""

    @abstractmethod
    def out_shape(self, workload: Any, knobs: dict[str, Any]) -> tuple[int, ...]:
        """Shape of the kernel's output."""

    @abstractmethod
    def out_layout(self, workload: Any, knobs: dict[str, Any]) -> Layout:
        """From the kernel's output to the logical one."""

    def pack(self, workload: Any, knobs: dict[str, Any], inputs: tuple[Array, ...]) -> list[Array]:
        """Logical inputs in the layouts the kernel takes.

        Raises:
            ValueError: another number of inputs.
        """
        layouts = self.layouts(workload, knobs)
        return [layout.apply(array) for layout, array in zip(layouts, inputs, strict=True)]

    def unpack(self, workload: Any, knobs: dict[str, Any], out: Array) -> Array:
        """The kernel's output in its logical layout."""
        return self.out_layout(workload, knobs).apply(out)


class PlainArrays(LaidOut):
    """The part of a template whose kernels take and give arrays in their logical layouts."""

    def layouts(self, workload: Workload, knobs: dict[str, Any]) -> list[Layout]:
        return [Layout() for _ in workload.input_shapes]

    def out_shape(self, workload: Workload, knobs: dict[str, Any]) -> tuple[int, ...]:
        return workload.output_shape

    def out_layout(self, workload: Workload, knobs: dict[str, Any]) -> Layout:
        return Layout()


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
