"""Templates whose arrays keep their logical layouts."""

from __future__ import annotations

from typing import Any

import numpy as np

from raydgp.kernels.packing import Array
from raydgp.kernels.reference import output_shape
from raydgp.workloads import Workload


class Unpacked:
    """The layout half of a `Template` that takes and gives NCHW, OIHW and row-major arrays."""

    def pack(self, workload: Any, knobs: dict[str, Any], inputs: tuple[Array, ...]) -> list[Array]:
        return [np.ascontiguousarray(array) for array in inputs]

    def out_shape(self, workload: Workload, knobs: dict[str, Any]) -> tuple[int, ...]:
        return output_shape(workload)

    def unpack(self, workload: Workload, knobs: dict[str, Any], out: Array) -> Array:
        return out
