import json
import pickle
import platform
import subprocess
import sys
from typing import Any

import pytest
import tvm
from tvm.target import codegen

from raydgp import Conv2d, config_space
from raydgp.errors import InputError
from raydgp.sandbox import nvml
from raydgp.sandbox.cpus import own_cores
from raydgp.targets import Limits, Target, kinds
from raydgp.targets.compiler import to_tvm, versions
from raydgp.targets.llvm import query
from raydgp.targets.llvm.architectures import names, triple_of, vectors_of
from tests.support.nvml_package import Package

NAMES = ["llvm", "cuda", "cuda/sm_90", "llvm/skylake-avx512", "llvm/haswell", "llvm/neoverse-n1", "llvm/znver3"]
OLD = {"kind": "llvm", "mcpu": "znver4", "num-cores": 2}  # as the records of version 0.1 have it


def test_the_cpu_target_compiles_for_this_processor_with_all_of_its_cores():
    target = Target.here("llvm")
    assert target.cores == len(own_cores()) >= 1
    compiled = to_tvm(target)
    assert isinstance(compiled, tvm.target.Target)
    assert compiled.attrs["mcpu"] == target.architecture != "generic"
    assert target.features
    assert list(target.cache_bytes) == sorted(target.cache_bytes)


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("llvm/haswell", ("avx2", 256, 16)),
        ("llvm/znver3", ("avx2", 256, 16)),
        ("llvm/skylake-avx512", ("avx512", 512, 32)),
        ("llvm/znver4", ("avx512", 512, 32)),
        ("llvm/sandybridge", ("avx", 256, 16)),
        ("llvm/neoverse-n1", ("neon", 128, 32)),
        ("apple-m1", ("neon", 128, 32)),
        ("llvm", ("sse", 128, 16)),
    ],
)
def test_a_name_tells_the_vector_registers(name, facts):
    target = Target.named(name)
    assert (target.instruction_set, target.vector_bits, target.vector_registers) == facts


@pytest.mark.parametrize("name", names())
def test_the_table_says_of_vectors_what_llvm_says_of_features(name):
    triple = triple_of(name)
    assert triple
    assert query.knows(name, triple)
    assert query.vectors({"mcpu": name, "mtriple": triple}) == vectors_of(name)


def test_the_table_has_every_processor_of_llvm_that_has_vectors_beyond_the_baseline():
    target = tvm.target.Target({"kind": "llvm", "mtriple": "x86_64-linux-gnu"})
    listed = {str(name).replace("_", "-") for name in codegen.llvm_get_cpu_archlist(target)}
    wide = {name for name in listed if query.vectors({"mcpu": name, "mtriple": "x86_64-linux-gnu"}).bits > 128}
    spelt_otherwise = {name for name in wide if name.startswith("core-") and name[5].isdigit()} | {"mic-avx512"}
    assert wide - spelt_otherwise <= set(names())


@pytest.mark.parametrize("name", [*NAMES, "apple-m1"])
def test_a_target_is_the_same_after_json_and_pickle(name):
    target = Target.named(name)
    assert Target.from_dict(json.loads(json.dumps(target.to_dict()))) == target
    assert pickle.loads(pickle.dumps(target)) == target
    assert len({target, Target.named(name)}) == 1


def test_the_machines_target_equals_what_its_record_says():
    target = Target.here("llvm")
    again = Target.from_dict(target.to_dict())
    assert again == target
    assert (again.vector_bits, again.vector_registers) == (target.vector_bits, target.vector_registers)


@pytest.mark.parametrize(
    "attributes", [OLD, {"kind": "llvm", "mcpu": "unheard-of", "mattr": ["+avx2"], "num-cores": 4}]
)
def test_what_old_records_say_is_kept(attributes):
    target = Target.from_dict(attributes)
    assert target.to_dict() == attributes
    assert target.cores == attributes["num-cores"]
    assert hash(target)


def test_a_gpus_attributes_say_its_limits():
    target = Target.from_dict({"kind": "cuda", "arch": "sm_90", "max_threads_per_block": 512, "thread_warp_size": 32})
    assert target.limits == Limits(threads=512)
    assert (target.architecture, target.vector_bits) == ("sm_90", 0)
    assert Target.named("llvm").limits is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lvm", "unknown target 'lvm'; did you mean 'llvm'"),
        ("nothing-like-it", "known are llvm, cuda, and their architectures"),
        ("llvm/haswel", "did you mean 'haswell'"),
        ("cuda/sm_999", "unknown architecture 'sm_999'"),
        ("cuda/sm90", "did you mean 'sm_90'"),
        ("llvm/nothing-like-it", r"known are (\w+[\w-]*, ){20}and \d+ others"),
        ("vulkan/navi", "unknown target 'vulkan'"),
    ],
)
def test_an_unknown_name_names_the_nearest(name, message):
    with pytest.raises(InputError, match=message):
        Target.named(name)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="of x86")
def test_code_for_this_machine_keeps_to_another_ones_instructions():
    here, narrow = Target.here("llvm"), Target.here("llvm/x86-64")
    assert (narrow.architecture, narrow.vector_bits, narrow.vector_registers) == ("x86-64", 128, 16)
    assert (narrow.cores, narrow.cache_bytes) == (here.cores, here.cache_bytes)
    assert Target.for_tasks("llvm/x86-64") == narrow != here
    assert Target.here(str(here)) == here


def test_what_does_not_run_here_is_refused_in_one_line(monkeypatch):
    with pytest.raises(InputError, match=r"llvm/[\w-]+: its code does not run on .*, which is here"):
        Target.here("llvm/neoverse-n1" if platform.machine() == "x86_64" else "llvm/haswell")
    monkeypatch.setattr(query, "system_cpu", lambda: "ivybridge")
    if platform.machine() == "x86_64":
        with pytest.raises(InputError, match="llvm/haswell: ivybridge, which is here, has no avx2, fma"):
            Target.here("llvm/haswell")
    with pytest.raises(InputError, match="cuda knows no architectures by name; leave out 'sm_90'"):
        Target.here("cuda/sm_90")


def test_attributes_without_a_kind_are_refused():
    with pytest.raises(InputError, match="no kind"):
        Target.from_dict({"mcpu": "znver3"})


def test_a_target_of_another_system_says_which():
    assert to_tvm(Target.named("apple-m1")).attrs["mtriple"] == "arm64-apple-macos"


def test_a_name_and_attributes_give_spaces_of_the_same_hash():
    conv = Conv2d(n=1, ci=16, h=14, w=14, co=16, kh=3, kw=3, padding=(1, 1))
    pairs: list[tuple[dict[str, Any], str]] = [(OLD, "llvm"), ({"kind": "cuda", "arch": "sm_90"}, "cuda/sm_90")]
    for old, name in pairs:
        assert config_space(conv, old).hash == config_space(conv, name).hash == config_space(conv, old["kind"]).hash


def test_targets_and_spaces_need_no_tvm():
    script = (
        "import sys; from raydgp import Conv2d, config_space; from raydgp.targets import Target;"
        "conv = Conv2d(n=1, ci=16, h=14, w=14, co=16, kh=3, kw=3, padding=(1, 1));"
        "[config_space(conv, Target.named(n)).features([0]) for n in ('llvm', 'znver4', 'apple-m1', 'cuda/sm_90')];"
        "print('tvm' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_device_is_described_by_name_and_cores():
    target = Target.here("llvm")
    device = target.behaviour.device(target, threads=1)
    assert device["kind"] == "llvm"
    assert device["name"]
    assert (device["cores"], device["threads"]) == (len(own_cores()), 1)


def test_versions_name_the_compiler():
    assert versions()["tvm"] == tvm.__version__
    assert set(versions()) == {"raydgp", "tvm", "llvm", "python"}


def test_the_kinds_are_known():
    assert {"llvm", "cuda"} <= set(kinds())
    with pytest.raises(InputError, match="unknown target 'vulkan'; known are llvm, cuda"):
        Target.here("vulkan")


@pytest.fixture
def package(monkeypatch):
    """NVML's package with GPUs of sm_90."""
    monkeypatch.setitem(sys.modules, "pynvml", made := Package())
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    nvml.device_of.cache_clear()
    yield made
    nvml.device_of.cache_clear()


def test_a_gpu_becomes_a_target_with_its_architecture(package):
    target = Target.here("cuda")
    assert target == Target.named("cuda/sm_90")
    compiled = to_tvm(target)
    assert compiled.attrs["max_threads_per_block"] == 1024
    assert compiled.host.kind.name == "llvm"
    device = target.behaviour.device(target)
    assert device == {"kind": "cuda", "name": "NVIDIA H100 80GB HBM3", "driver": "570.86.15", "arch": "sm_90"}
    with pytest.raises(InputError, match="for a GPU of sm_80, and here is one of sm_90"):
        target.behaviour.check_here(Target.named("cuda/sm_80"))


@pytest.mark.parametrize("broken", ["nvmlInit", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetName"])
def test_without_a_working_gpu_the_error_names_the_remedy(package, monkeypatch, broken):
    def fails(*_):
        raise package.NVMLError("not found")

    monkeypatch.setattr(package, broken, fails)
    with pytest.raises(InputError, match="no NVIDIA GPU here; use target llvm"):
        Target.here("cuda")


def test_the_gpu_is_the_one_that_this_process_may_see(package, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    Target.here("cuda")
    assert package.asked == [3]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(InputError, match="use target llvm"):
        Target.here("cuda")
