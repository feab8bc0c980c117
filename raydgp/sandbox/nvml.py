"""The GPUs here as NVML tells of them: what they are, and their clocks, temperature and power. Read, never set.

NVML comes with the driver, and its Python module `pynvml` with the package `nvidia-ml-py` (extra `cuda`).
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

from raydgp.errors import InputError


class Gpu(NamedTuple):
    """The properties of a GPU that do not change.

    Attributes:
        driver: its version.
        capability: compute capability, `9.0` of sm_90.
    """

    name: str
    driver: str
    capability: str
    memory_bytes: int


def first_gpu() -> Gpu:
    """Describes the GPU that this process uses, see `visible_gpu`.

    Raises:
        InputError: there is none, or NVML is not here to tell of it.
    """
    remedy = "no NVIDIA GPU here; use target llvm, or run on a machine with a GPU and its driver"
    if not visible_gpu():
        raise InputError(remedy)
    try:
        nvml, device = device_of(visible_gpu())
        return _described(nvml, device)
    except ImportError:
        raise InputError("NVIDIA GPUs cannot be seen: pip install raydgp[cuda], or use target llvm") from None
    except Exception:  # NVML's errors are classes that the package makes as it is loaded
        raise InputError(remedy) from None


def all_gpus() -> list[Gpu]:
    """Describes every GPU of this machine in the order of their numbers, also those that this process may not see.

    Raises:
        InputError: NVML is not here, or it fails; the message says how.
    """
    try:
        nvml = _loaded()
        count = nvml.nvmlDeviceGetCount()
        return [_described(nvml, nvml.nvmlDeviceGetHandleByIndex(number)) for number in range(count)]
    except ImportError:
        raise InputError("no pynvml, which raydgp[cuda] brings") from None
    except Exception as error:
        raise InputError(f"NVML: {str(error).removeprefix('NVML ')}") from None


def conditions() -> dict[str, float]:
    """Clocks (`sm_mhz`, `memory_mhz`), `temperature_c` and `power_w` of this moment.

    Without NVML, a driver or a GPU it is empty; what a device does not tell is left out.
    """
    try:
        nvml, device = device_of(visible_gpu())
    except Exception:  # no package, no driver, no such device
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


def all_usages() -> list[dict[str, float]]:
    """What each GPU uses of itself, by MLflow's names: its arithmetic, memory and power.

    Without NVML, a driver or a GPU it is empty; what a device does not tell is left out.
    """
    try:
        nvml = _loaded()
        devices = [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())]
    except Exception:  # no package, no driver
        return []
    found = []
    for device in devices:
        used: dict[str, float] = {}
        with suppress(nvml.NVMLError):
            used["utilization_percentage"] = float(nvml.nvmlDeviceGetUtilizationRates(device).gpu)
        with suppress(nvml.NVMLError):
            memory = nvml.nvmlDeviceGetMemoryInfo(device)
            used["memory_usage_megabytes"] = memory.used / 1e6
            used["memory_usage_percentage"] = 100 * memory.used / memory.total
        with suppress(nvml.NVMLError):
            used["power_usage_watts"] = nvml.nvmlDeviceGetPowerUsage(device) / 1000  # it gives milliwatts
        found.append(used)
    return found


def visible_gpu() -> str:
    """Number or UUID of this process's first GPU; empty when none may be seen.

    Numbers are NVML's and `nvidia-smi`'s, and CUDA's too where CUDA_DEVICE_ORDER is PCI_BUS_ID.
    """
    return os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()


@cache
def device_of(name: str) -> tuple[Any, Any]:
    """NVML's module and its handle of a device, which is given by number or UUID. Raises whatever NVML does."""
    nvml = _loaded()
    by_number = name.isdigit()
    return nvml, nvml.nvmlDeviceGetHandleByIndex(int(name)) if by_number else nvml.nvmlDeviceGetHandleByUUID(name)


def _loaded() -> Any:
    import pynvml  # of an extra, which most machines lack

    pynvml.nvmlInit()  # may be called more than once
    return pynvml


def _described(nvml: Any, device: Any) -> Gpu:
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(device)
    return Gpu(
        nvml.nvmlDeviceGetName(device),
        nvml.nvmlSystemGetDriverVersion(),
        f"{major}.{minor}",
        nvml.nvmlDeviceGetMemoryInfo(device).total,
    )
