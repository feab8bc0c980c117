"""A kernel of an imported model for which there is no template: its code is its description."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from raydgp.registry import resolve
from raydgp.workloads.base import Workload

_CODE = "raydgp.templates.traced.code"  # runs the function by TVM


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

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        return self._shapes()[:-1]

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self._shapes()[-1]

    def random_inputs(self, rng: np.random.Generator) -> tuple[NDArray[Any], ...]:
        """Inputs of the function's shapes and types."""
        arrays: tuple[NDArray[Any], ...] = resolve(f"{_CODE}:random_arrays", str(self))(self, rng)
        return arrays

    def reference(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        """The output of the function as it is, without a schedule."""
        out: NDArray[Any] = resolve(f"{_CODE}:run_plain", str(self))(self, inputs)
        return out

    def _shapes(self) -> tuple[tuple[int, ...], ...]:
        shapes: tuple[tuple[int, ...], ...] = resolve(f"{_CODE}:shapes", str(self))(self)
        return shapes

    def __str__(self) -> str:
        return f"kernel({self.name})"
