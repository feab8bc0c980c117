"""What a machine uses of its processors, memory and GPUs, by the names that MLflow has for it."""

from __future__ import annotations

import psutil

from raydgp.sandbox.nvml import all_usages


class Usage:
    """A machine, looked at now and then: the processors' part is the mean since the last look."""

    def __init__(self) -> None:
        psutil.cpu_percent()  # from here on it counts

    def now(self) -> dict[str, float]:
        """MLflow's system metrics, without their prefix; those of GPUs only where there are some."""
        memory = psutil.virtual_memory()
        used = {
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": memory.used / 1e6,
            "system_memory_usage_percentage": 100 * memory.used / memory.total,
        }
        for number, gpu in enumerate(all_usages()):
            used |= {f"gpu_{number}_{name}": value for name, value in gpu.items()}
        return used
