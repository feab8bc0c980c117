"""Clocks and temperatures as NVML's Python package gives them, which is made up here."""

import sys
from types import ModuleType

import pytest

from raydgp.sandbox import nvml


class Package(ModuleType):
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0

    class NVMLError(Exception):
        pass

    def __init__(self):
        super().__init__("pynvml")
        self.asked = []

    def nvmlInit(self):
        pass

    def nvmlDeviceGetHandleByIndex(self, index):
        self.asked.append(index)
        return "handle"

    def nvmlDeviceGetHandleByUUID(self, uuid):
        self.asked.append(uuid)
        return "handle"

    def nvmlDeviceGetClockInfo(self, handle, kind):
        return {1: 1980, 2: 2619}[kind]

    def nvmlDeviceGetTemperature(self, handle, sensor):
        return 45

    def nvmlDeviceGetPowerUsage(self, handle):
        raise self.NVMLError("not supported")


@pytest.fixture
def package(monkeypatch):
    made = Package()
    monkeypatch.setitem(sys.modules, "pynvml", made)
    nvml.device_of.cache_clear()
    yield made
    nvml.device_of.cache_clear()


@pytest.mark.parametrize(("visible", "asked"), [(None, 0), ("2", 2), ("3,1", 3), ("GPU-8f", "GPU-8f")])
def test_conditions_are_of_the_gpu_that_this_process_uses(package, monkeypatch, visible, asked):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert nvml.conditions() == {"sm_mhz": 1980, "memory_mhz": 2619, "temperature_c": 45}  # no power, which it denies
    nvml.conditions()
    assert package.asked == [asked]


def test_without_the_package_or_a_device_there_are_none(package, monkeypatch):
    monkeypatch.setattr(package, "nvmlInit", lambda: (_ for _ in ()).throw(package.NVMLError("driver not loaded")))
    assert nvml.conditions() == {}
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert nvml.conditions() == {}
