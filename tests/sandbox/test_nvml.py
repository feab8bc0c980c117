"""GPUs as NVML's Python package tells of them, which is made up here."""

import sys

import pytest

from raydgp.errors import InputError
from raydgp.sandbox import nvml
from tests.support.nvml_package import Package


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


def test_every_gpu_is_described(package, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    h100 = nvml.Gpu("NVIDIA H100 80GB HBM3", "570.86.15", "9.0", 80 << 30)
    assert nvml.all_gpus() == [h100, h100]
    assert nvml.first_gpu() == h100
    assert package.asked == [0, 1, 1]


def test_what_fails_is_told_in_a_line(package, monkeypatch):
    monkeypatch.setattr(package, "nvmlInit", lambda: (_ for _ in ()).throw(package.NVMLError("driver not loaded")))
    with pytest.raises(InputError, match=r"^NVML: driver not loaded$"):
        nvml.all_gpus()
    monkeypatch.setitem(sys.modules, "pynvml", None)
    for ask in (nvml.all_gpus, nvml.first_gpu):
        with pytest.raises(InputError, match=r"raydgp\[cuda\]") as caught:
            ask()
        assert "\n" not in str(caught.value)
