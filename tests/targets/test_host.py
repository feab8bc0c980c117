import pytest
import tvm

from raydgp.errors import InputError
from raydgp.sandbox.cpus import own_cores
from raydgp.targets import host as targets


def test_the_cpu_target_compiles_for_this_processor_with_all_of_its_cores():
    target = targets.host_target("llvm")
    assert target["num-cores"] == len(own_cores()) >= 1
    compiled = targets.to_tvm(target)
    assert isinstance(compiled, tvm.target.Target)
    assert compiled.attrs["mcpu"] == target["mcpu"] != "generic"


def test_the_device_is_described_by_name_and_cores():
    device = targets.describe_device(targets.host_target("llvm"))
    assert device["kind"] == "llvm"
    assert device["name"]
    assert device["cores"] == len(own_cores())


def test_versions_name_the_compiler():
    assert targets.versions()["tvm"] == tvm.__version__
    assert set(targets.versions()) == {"raydgp", "tvm", "llvm", "python"}


def test_an_unknown_kind_names_the_known_ones():
    with pytest.raises(InputError, match="known are cuda, llvm"):
        targets.host_target("vulkan")


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Puts a program of this name and text alone on the PATH."""

    def install(text: str) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        targets._first_gpu.cache_clear()

    yield install
    targets._first_gpu.cache_clear()


def test_a_gpu_becomes_a_target_with_its_architecture(nvidia_smi):
    nvidia_smi('echo "NVIDIA H100 80GB HBM3, 570.86.15, 9.0"')
    target = targets.host_target("cuda")
    assert target["arch"] == "sm_90"
    compiled = targets.to_tvm(target)
    assert compiled.attrs["max_threads_per_block"] == 1024
    assert compiled.host.kind.name == "llvm"
    device = targets.describe_device(target)
    assert device == {"kind": "cuda", "name": "NVIDIA H100 80GB HBM3", "driver": "570.86.15", "arch": "sm_90"}


@pytest.mark.parametrize("text", ["exit 9", "echo 'no devices were found' >&2; exit 6", "true"])
def test_without_a_working_gpu_the_error_names_the_remedy(nvidia_smi, text):
    nvidia_smi(text)
    with pytest.raises(InputError, match="use target llvm"):
        targets.host_target("cuda")


def test_the_gpu_is_the_one_that_this_process_may_see(nvidia_smi, monkeypatch):
    nvidia_smi('case "$*" in *--id=3) echo "A100, 570.86.15, 8.0";; *) exit 9;; esac')
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    assert targets.host_target("cuda")["arch"] == "sm_80"
    targets._first_gpu.cache_clear()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(InputError, match="use target llvm"):
        targets.host_target("cuda")


def test_without_a_driver_the_error_names_the_remedy(nvidia_smi, tmp_path):
    nvidia_smi("true")
    (tmp_path / "nvidia-smi").unlink()
    with pytest.raises(InputError, match="use target llvm"):
        targets.host_target("cuda")
