"""What a schedule template is: one configuration of a space made into a kernel, and its data laid out for it."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import tvm
from numpy.typing import NDArray

from raydgp.workloads import Workload

Array = NDArray[np.float32]


class Template(Protocol):
    """Gives the knobs of one kind of space their meaning. Stateless."""

    def schedule(self, workload: Workload, knobs: dict[str, Any], target: dict[str, Any]) -> tvm.IRModule:
        """The scheduled module; its one PrimFunc `main` takes the arrays of `pack`, then the output."""

    def pack(self, workload: Workload, knobs: dict[str, Any], inputs: tuple[Array, ...]) -> list[Array]:
        """Logical inputs (as in `Workload`'s docstring) in the layouts the kernel takes."""

    def out_shape(self, workload: Workload, knobs: dict[str, Any]) -> tuple[int, ...]:
        """Shape of the kernel's output."""

    def unpack(self, workload: Workload, knobs: dict[str, Any], out: Array) -> Array:
        """The kernel's output in its logical layout."""
