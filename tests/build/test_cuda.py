"""Libraries with machine code: what they hold, and what TVM's CUDA runtime would be given."""

import ctypes
import re
import subprocess
import sys

import numpy as np
import pytest

from raydgp import Conv2d, Dense, config_space
from raydgp.build.compile import compile_kernel
from raydgp.build.cuda import compiler as cuda_compiler
from raydgp.build.cuda import nvrtc as cuda_nvrtc
from raydgp.build.cuda.compiler import compile_source, resources
from raydgp.build.cuda.library import cuda_source, with_cubin
from raydgp.errors import BuildError, CudaCompileError, InputError, RaydgpError
from raydgp.records import Resources, Status
from raydgp.run.builder import Builder
from raydgp.targets import Target
from raydgp.templates.registry import template_for
from tests.support.kernels import build

CONV = Conv2d(n=1, ci=16, h=8, w=8, co=32, kh=3, kw=3, padding=(1, 1))
KERNEL = 'extern "C" __global__ void f(float* a) { __shared__ float s[32]; s[threadIdx.x] = a[threadIdx.x]; '
LOG = """ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'main_kernel' for 'sm_90'
ptxas info    : Function properties for main_kernel
    8 bytes stack frame, 12 bytes spill stores, 20 bytes spill loads
ptxas info    : Used 64 registers, used 1 barriers, 4096 bytes smem, 376 bytes cmem[0]
ptxas info    : Compile time = 21.809 ms
ptxas info    : Compiling entry function 'main_kernel_1' for 'sm_90'
ptxas info    : Function properties for main_kernel_1
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 32 registers, used 0 barriers
"""
# stands in for TVM's CUDA runtime, which cannot be loaded without a driver, and prints what it is given
LOADER = """
import sys
sys.modules["torch"] = None
import tvm, tvm_ffi

@tvm_ffi.register_global_func("ffi.Module.load_from_bytes.cuda")
def load(content):
    content = bytes(content)
    print(content[8:13].decode(), content.count(b"\\x7fELF"), b"main_kernel" in content, b"__global__" in content)
    return tvm_ffi.get_global_func("runtime.SourceModuleCreate")("", "c")

module = tvm_ffi.load_module(sys.argv[1])
print(module["main"] is not None)
"""


def target(arch="sm_90"):
    return Target.named(f"cuda/{arch}")


def compiler_or_skip(arch):
    try:
        return cuda_compiler.compiler_for(arch)
    except InputError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_tvms_runtime_is_given_machine_code_and_no_source(arch, tmp_path):
    compiler_or_skip(arch)
    space = config_space(CONV, "cuda")
    library = build(space, space.default, target(arch))
    (tmp_path / "kernel.so").write_bytes(library)
    command = [sys.executable, "-c", LOADER, str(tmp_path / "kernel.so")]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.stdout.split("\n")[:2] == ["cubin 1 True False", "True"], answer.stderr


def test_resources_are_those_of_the_configuration():
    compiler_or_skip("sm_90")
    space = config_space(CONV, "cuda")
    for index in [space.default, *space.sample_valid(3, np.random.default_rng(3)).tolist()]:
        kernel = compile_kernel(space.template, CONV, space.decode(index), target())
        (used,) = kernel.resources
        module = template_for(space).schedule(CONV, space.decode(index), target())
        arrays = re.findall(r"__shared__ .*\[(\d+)\];", cuda_source(module, target()))
        assert used.kernel == "main_kernel"
        assert 4 * sum(map(int, arrays)) <= used.shared_bytes <= 4 * sum(map(int, arrays)) + 64 * len(arrays) + 1024
        assert 0 < used.registers <= 255


def test_resources_of_every_kernel_are_read_from_the_log():
    assert resources(LOG) == (
        Resources(kernel="main_kernel", registers=64, spill_bytes=32, shared_bytes=4096),
        Resources(kernel="main_kernel_1", registers=32, spill_bytes=0, shared_bytes=0),
    )


def test_a_builder_hands_them_on():
    compiler_or_skip("sm_90")
    space = config_space(CONV, "cuda")
    with Builder() as builder:
        built = builder.build(space, space.default, target(), timeout_s=60)
    assert built.status is Status.OK, built.error
    assert built.resources == compile_kernel(space.template, CONV, space.decode(space.default), target()).resources


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@pytest.mark.parametrize("workload", [CONV, Dense(n=64, k=100, m=96)], ids=["conv2d", "dense"])
def test_kernels_on_tensor_cores_compile_with_the_headers_they_need(workload, arch):
    compiler_or_skip(arch)
    space = config_space(workload, target(arch), "tensor_core")
    for index in [space.default, *space.sample_valid(1, np.random.default_rng(5)).tolist()]:
        knobs = space.decode(index)
        (used,) = compile_kernel(space.template, workload, knobs, target(arch)).resources
        rows = 16 * (np.prod(knobs["tile_m"][1:]) + np.prod(knobs["tile_n"][1:]))
        shared_bytes = 2 * rows * (16 * knobs["tile_k"][1] + knobs["offset"])
        assert shared_bytes <= used.shared_bytes <= shared_bytes + 1024


def test_a_gpu_without_tensor_cores_is_named_in_one_line():
    space = config_space(CONV, "cuda", "tensor_core")
    with pytest.raises(BuildError, match="needs a GPU of sm_70 or newer, not sm_61") as caught:
        build(space, space.default, target("sm_61"))
    assert "\n" not in str(caught.value)


def test_headers_come_from_the_place_of_the_library(tmp_path, monkeypatch):
    """CUDA 13's package, CUDA 12's packages, a toolkit, and the system's library with a toolkit's headers."""
    places = {
        "site/nvidia/cu13/lib/libnvrtc.so.13": ["site/nvidia/cu13/include"],
        "site/nvidia/cuda_nvrtc/lib/libnvrtc.so.12": [
            f"site/nvidia/{name}/include" for name in ("cuda_nvrtc", "cuda_runtime", "cuda_nvcc")
        ],
        "toolkit/lib64/libnvrtc.so.13": ["toolkit/include"],
    }
    for library, folders in places.items():
        for folder in folders:
            (tmp_path / folder).mkdir(parents=True)
        assert cuda_nvrtc.include_folders(tmp_path / library) == tuple(tmp_path / folder for folder in folders)
    monkeypatch.setenv("CUDA_PATH", str(tmp_path / "toolkit"))
    system = tmp_path / "usr/lib/x86_64-linux-gnu/libnvrtc.so.13"
    assert cuda_nvrtc.include_folders(system) == (tmp_path / "toolkit" / "include",)


def test_a_library_without_the_headers_is_not_taken(tmp_path):
    (tmp_path / "mma.h").touch()
    nvrtc = cuda_nvrtc.Nvrtc(ctypes.CDLL(None), (tmp_path,), (80, 90))
    assert nvrtc.knows("sm_90", ("mma.h",))
    assert nvrtc.knows("sm_90a", ())
    assert not nvrtc.knows("sm_90", ("mma.h", "crt/mma.h"))
    assert not nvrtc.knows("sm_70", ("mma.h",))


@pytest.mark.parametrize("compiler", ["nvrtc", "nvcc"])
def test_either_compiler_names_the_error(compiler, monkeypatch):
    if compiler == "nvcc":
        monkeypatch.setattr(cuda_nvrtc, "knows", lambda *_: False)
    if compiler_or_skip("sm_90") != compiler:
        pytest.skip(f"no {compiler} here")
    good = compile_source(KERNEL + "}", "sm_90")
    assert good.code.startswith(b"\x7fELF")
    assert [used.kernel for used in good.resources] == ["f"]
    with pytest.raises(CudaCompileError, match="undefined") as caught:
        compile_source(KERNEL + "x = 1; }", "sm_90")
    assert "\n" not in str(caught.value)


def test_helpers_between_tvms_prologue_and_the_kernels_are_kept():
    compiler_or_skip("sm_90")
    helper = "__forceinline__ __device__ float twice(float x) { return x + x; }\n"
    prologue = "#include <no_such_header>\n#else\n  #define ushort unsigned short\n#endif\n"
    code = compile_source(prologue + helper + KERNEL + "a[0] = twice(a[1]); }", "sm_90").code
    assert code.startswith(b"\x7fELF")


def test_an_architecture_that_no_compiler_knows_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(cuda_nvrtc, "knows", lambda *_: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_PATH", str(tmp_path))
    space = config_space(CONV, "cuda")
    with pytest.raises(BuildError, match=r"pip install raydgp\[cuda\]"):
        build(space, space.default, target())


def test_imports_packed_in_another_way_are_refused():
    with pytest.raises(RaydgpError, match="unknown way"):
        with_cubin(b"\0" * 64, "source", b"cubin")
