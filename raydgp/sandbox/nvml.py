"""The GPU in use as NVML tells of it: clocks, temperature, power. Read, never set."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from typing import Any


def conditions() -> dict[str, float]:
    """Clocks (`sm_mhz`, `memory_mhz`), `temperature_c` and `power_w` of this moment.

    Without NVML (package `nvidia-ml-py`, extra `cuda`), a driver or a GPU it is empty; what a device does not tell is
    left out.
    """
    try:
        nvml, device = device_of(visible_gpu())
    except Exception:  # no package, no driver, no such device: NVML's errors are classes that the package makes
        return {}
    queries = {
        "sm_mhz": lambda: nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_SM),
        "memory_mhz": lambda: nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_MEM),
        "temperature_c": lambda: nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU),
        "power_w": lambda: nvml.nvmlDeviceGetPowerUsage(device) / 1000,  # it gives milliwatts
    }
    found = {}
    for name, query in queries.items():
        with suppress(nvml.NVMLError):
            found[name] = float(query())
    return found


def visible_gpu() -> str:
    """Number or UUID of this process's first GPU; empty when none may be seen.

    Numbers are NVML's and `nvidia-smi`'s, and CUDA's too where CUDA_DEVICE_ORDER is PCI_BUS_ID.
    """
    return os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()


@cache
def device_of(name: str) -> tuple[Any, Any]:
    """NVML's module and its handle of a device, which is given by number or UUID. Raises whatever NVML does."""
    import pynvml

    pynvml.nvmlInit()
    by_number = name.isdigit()
    return pynvml, pynvml.nvmlDeviceGetHandleByIndex(int(name)) if by_number else pynvml.nvmlDeviceGetHandleByUUID(name)
