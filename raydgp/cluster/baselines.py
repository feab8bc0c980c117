"""What tuned kernels are held against, measured where the runner is and before anything else runs there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import ray

from raydgp.settings import MeasureSettings
from raydgp.targets import Target
from raydgp.workloads import Workload

# An untuned kernel runs a hundred times longer than a tuned one: once, and with patience.
_ONCE = {"repeat": 1, "min_repeat_ms": 0, "run_timeout_s": 120.0}


@dataclass(frozen=True, kw_only=True)
class Baselines:
    """What untuned kernels and the hardware reach.

    Attributes:
        peak_gflops: the device's measured peak; None where nothing measures it.
        untuned_s: seconds a call of the kernel that TVM makes without a schedule, by workload; infinite where it fails.
    """

    peak_gflops: float | None = None
    untuned_s: dict[Workload, float] = field(default_factory=dict)


@ray.remote(num_cpus=0, max_retries=0)
def measure_baselines(target: Target, settings: MeasureSettings, workloads: Sequence[Workload]) -> Baselines:
    """Measures the baselines of this node's processors."""
    from raydgp.measure.local import LocalMeasurer
    from raydgp.templates.plain import untuned  # these import TVM, which the driver need not

    peak_gflops = target.behaviour.part("peak")(target, settings.threads) if target.behaviour.peak else None
    with LocalMeasurer(target, settings.model_copy(update=_ONCE)) as measurer:
        measured = [measurer.measure(untuned(workload, target.kind), np.array([0]))[0] for workload in workloads]
    untuned_s = {workload: m.median_s for workload, m in zip(workloads, measured, strict=True)}
    return Baselines(peak_gflops=peak_gflops, untuned_s=untuned_s)
