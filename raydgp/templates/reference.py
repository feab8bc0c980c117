"""What every kernel must compute, and inputs to try it on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from raydgp.workloads import Workload


def random_inputs(workload: Workload, seed: int) -> tuple[NDArray[Any], ...]:
    """Standard normal arrays in their logical layouts (see the workload's docstring), or a kernel's arrays."""
    return workload.random_inputs(np.random.default_rng(seed))


def reference(workload: Workload, inputs: tuple[NDArray[Any], ...]) -> NDArray[Any]:
    """The right output of a workload for some inputs, in its logical layout."""
    return workload.reference(*inputs)
