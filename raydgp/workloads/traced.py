"""A kernel of an imported model for which there is no template: its code is its description."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from raydgp.workloads.ops import Workload


@dataclass(frozen=True, kw_only=True)
class TracedKernel(Workload):
    """A function on dense arrays, as TVM's compiler made it out of a model.

    Attributes:
        name: the function's, for people.
        code: the function without a schedule: TVM's JSON of its module, compressed by zlib, in base64.
        sketches: JSON of the schedules with open decisions that make its space (`raydgp.templates.traced.space`).
        operations: floating-point operations of one call, or elements written where there are none.
    """

    op: ClassVar[str] = "kernel"
    name: str
    code: str
    sketches: str
    operations: int

    @property
    def flops(self) -> int:
        return self.operations

    @property
    def group(self) -> str:
        """One kernel's experience is no other's."""
        return f"kernel_{self.name}"

    def __str__(self) -> str:
        return f"kernel({self.name})"
