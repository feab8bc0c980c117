"""The arithmetic that says which CUDA configurations can run, against TVM's own verifier and the code it generates."""

import re
from typing import Any

import numpy as np
import pytest
import tvm
from tvm import s_tir, tirx
from tvm.s_tir.analysis import verify_gpu_code

from raydgp import Conv2d, Dense, DepthwiseConv2d, GroupConv2d, config_space
from raydgp.build.cuda.library import cuda_source
from raydgp.targets import Target
from raydgp.templates.registry import template_for
from raydgp.workloads import Fused

CUDA = Target.named("cuda/sm_80")
LIMITS = {
    "max_threads_per_block": 1024,
    "max_thread_x": 1024,
    "max_thread_y": 1024,
    "max_thread_z": 64,
    "max_shared_memory_per_block": 48 * 1024,
    "max_vthread": 8,
}
LOWER = tvm.ir.transform.Sequential(
    [
        s_tir.transform.LowerCrossThreadReduction(),
        s_tir.transform.LowerInitBlock(),
        s_tir.transform.PlanAndUpdateBufferAllocationLocation(),
        s_tir.transform.ConvertBlocksToOpaque(),
        s_tir.transform.UnifyThreadBinding(),
        s_tir.transform.CompactBufferAllocation(),
        s_tir.transform.LowerMatchBuffer(),
        s_tir.transform.LowerOpaqueBlock(),
        tirx.transform.FlattenBuffer(),
        tirx.transform.StmtSimplify(),
    ]
)
SAME: dict[str, Any] = {"kh": 3, "kw": 3, "padding": (1, 1)}
CASES: dict[str, Any] = {
    "conv2d": (Conv2d(n=2, ci=64, h=28, w=30, co=128, stride=(2, 1), **SAME), "direct"),
    "dilation": (Conv2d(n=1, ci=48, h=56, w=24, co=96, kh=3, kw=5, padding=(2, 4), dilation=(2, 2)), "direct"),
    "depthwise": (DepthwiseConv2d(n=1, ci=128, h=56, w=56, stride=(2, 1), **SAME), "direct"),
    "groups": (GroupConv2d(n=4, ci=64, h=28, w=28, co=128, groups=8, **SAME), "direct"),
    "winograd": (Conv2d(n=1, ci=256, h=14, w=14, co=256, **SAME), "winograd"),
    "tensor cores": (Conv2d(n=2, ci=48, h=28, w=30, co=200, stride=(2, 1), **SAME), "tensor_core"),
    "tensor cores dense": (Dense(n=1000, k=4096, m=500), "tensor_core"),
    "dense small": (Dense(n=1, k=4096, m=10), "direct"),
    "dense large": (Dense(n=128, k=4096, m=4096), "direct"),
}
CASES |= {
    f"fused {name}": (
        Fused(anchor=CASES[name][0], epilogue=("bias", "add", "relu"), algorithm=CASES[name][1]),
        "direct",
    )
    for name in ("conv2d", "depthwise", "groups", "winograd", "dense small", "dense large")
}
DRAWS = 16
SUMS = re.compile(r"float (?:conv|bgemm|dense)_local_ptr\[(\d+)\]")
FRAGMENTS = re.compile(r"fragment<nvcuda::wmma::accumulator.*\[(\d+)\]")


def held_in_registers(module):
    """Whether the sums that the generated code declares fit a thread's share of the registers."""
    source = cuda_source(module, CUDA)
    for kernel in source.split('extern "C"')[1:]:
        bounds = re.search(r"__launch_bounds__\((\d+)\)", kernel)
        threads = int(bounds[1]) if bounds else 1
        sums = [*map(int, SUMS.findall(kernel)), *(8 * int(n) for n in FRAGMENTS.findall(kernel))]
        if sum(sums) > min(255, 65536 // threads):
            return False
    return True


@pytest.mark.parametrize(("workload", "algorithm"), CASES.values(), ids=CASES)
def test_never_passes_what_tvms_verifier_rejects(workload, algorithm):
    space = config_space(workload, "cuda", algorithm)
    for index in space.sample_valid(DRAWS, np.random.default_rng(0)).tolist():
        knobs = space.decode(index)
        module = template_for(space).schedule(workload, knobs, CUDA)
        assert verify_gpu_code(LOWER(module)["main"], LIMITS), knobs
        assert held_in_registers(module), knobs


@pytest.mark.parametrize(("workload", "algorithm"), CASES.values(), ids=CASES)
def test_says_no_only_to_what_the_verifier_or_a_missing_limit_rejects(workload, algorithm):
    """TVM's verifier misses virtual threads, threadIdx.z and registers: for these the knobs and the code must tell."""
    space = config_space(workload, "cuda", algorithm)
    indices = space.sample(200, np.random.default_rng(1))
    for index in indices[~space.valid(indices)][: DRAWS // 2].tolist():
        knobs = space.decode(index)
        splits = {name: value for name, value in knobs.items() if isinstance(value, tuple) and len(value) == 4}
        vthreads = [value[1] for value in splits.values()] + [knobs.get("tile_g", (1, 1))[1]]
        threads_z = knobs["tile_f"][2] * knobs.get("tile_n", (1, 1, 1))[2] if "tile_f" in knobs else 1
        if np.prod(vthreads) > 8 or threads_z > 64:
            continue
        module = template_for(space).schedule(workload, knobs, CUDA)
        assert not verify_gpu_code(LOWER(module)["main"], LIMITS) or not held_in_registers(module), knobs
