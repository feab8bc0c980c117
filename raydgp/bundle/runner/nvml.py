"""NVML by its C interface: clocks, temperature and power of a GPU. Read, never set."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_uint, c_void_p
from typing import Any

# Its name here, its unit in that of NVML, the function, and NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU of it
_QUERIES: tuple[tuple[Any, ...], ...] = (
    ("sm_mhz", 1.0, "nvmlDeviceGetClockInfo", 1),
    ("memory_mhz", 1.0, "nvmlDeviceGetClockInfo", 2),
    ("temperature_c", 1.0, "nvmlDeviceGetTemperature", 0),
    ("power_w", 1e-3, "nvmlDeviceGetPowerUsage"),
)


class Nvml:
    """One GPU.

    Args:
        bus: its PCI address, as CUDA gives it.

    Raises:
        OSError: no NVML here, or it does not know the GPU.
    """

    def __init__(self, bus: str) -> None:
        self._library = ctypes.CDLL("libnvidia-ml.so.1")
        self._device = c_void_p()
        self._call("nvmlInit_v2")
        self._call("nvmlDeviceGetHandleByPciBusId_v2", bus.encode(), byref(self._device))

    def driver(self) -> str:
        text = ctypes.create_string_buffer(96)
        self._call("nvmlSystemGetDriverVersion", text, c_uint(len(text)))
        return text.value.decode()

    def conditions(self) -> dict[str, float]:
        """`sm_mhz`, `memory_mhz`, `temperature_c` and `power_w`; what the device does not tell is left out."""
        found = {}
        for name, unit, function, *which in _QUERIES:
            value = c_uint()
            try:
                self._call(function, self._device, *map(c_uint, which), byref(value))
            except OSError:
                continue
            found[name] = unit * value.value
        return found

    def _call(self, name: str, *arguments: object) -> None:
        try:
            code = getattr(self._library, name)(*arguments)
        except AttributeError:
            raise OSError(f"this NVML has no {name}") from None
        if code:
            raise OSError(f"{name}: NVML error {code}")
