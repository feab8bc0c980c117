"""CUDA templates against the reference, without a GPU: unbound on the CPU, and the generated source on fibres."""

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tvm
from tvm import s_tir

from raydgp import Conv2d, Dense, DepthwiseConv2d, GroupConv2d, config_space
from raydgp.build.cuda.library import cuda_source
from raydgp.build.cuda.source import quick
from raydgp.targets.host import host_target, to_tvm
from raydgp.templates.base import RoundingTemplate
from raydgp.templates.reference import random_inputs, reference
from raydgp.templates.registry import template_for
from raydgp.workloads import Fused

sys.path.append(str(Path(__file__).parent))
from cuda_emulator import compile_emulated, launches

CUDA = {"kind": "cuda", "arch": "sm_80", "max_threads_per_block": 1024, "max_shared_memory_per_block": 49152}
SAME = {"kh": 3, "kw": 3, "padding": (1, 1)}
SHAPES = {
    "stride and batch": Conv2d(n=2, ci=8, h=11, w=9, co=16, stride=(2, 2), **SAME),
    "uneven": Conv2d(n=1, ci=3, h=17, w=23, co=13, kh=5, kw=3, stride=(2, 1), padding=(2, 0)),
    "dilation": Conv2d(n=1, ci=24, h=12, w=10, co=20, kh=3, kw=3, padding=(2, 2), dilation=(2, 2)),
    "1x1 stride 2": Conv2d(n=1, ci=64, h=14, w=14, co=64, kh=1, kw=1, stride=(2, 2)),
    "prime channels": Conv2d(n=1, ci=67, h=5, w=5, co=71, kh=1, kw=1),
    "wide padding": Conv2d(n=1, ci=4, h=1, w=1, co=1, kh=3, kw=3, padding=(3, 2)),
    "depthwise": DepthwiseConv2d(n=2, ci=24, h=15, w=13, **SAME),
    "depthwise uneven": DepthwiseConv2d(n=1, ci=7, h=15, w=13, kh=5, kw=3, stride=(2, 1), dilation=(1, 2)),
    "groups": GroupConv2d(n=2, ci=12, h=13, w=11, co=18, groups=3, stride=(2, 1), **SAME),
    "groups uneven": GroupConv2d(n=3, ci=15, h=9, w=7, co=10, kh=3, kw=1, groups=5, padding=(0, 2), dilation=(2, 1)),
    "dense one row": Dense(n=1, k=128, m=100),
    "dense few rows": Dense(n=3, k=77, m=10),
    "dense": Dense(n=64, k=96, m=128),
    "dense primes": Dense(n=37, k=29, m=67),
}
SHAPES = {name: (workload, "direct") for name, workload in SHAPES.items()} | {
    "winograd of 2": (Conv2d(n=2, ci=12, h=13, w=11, co=18, **SAME), "winograd"),
    "winograd of 4": (Conv2d(n=1, ci=10, h=8, w=13, co=12, kh=3, kw=3), "winograd"),
    "winograd beyond the edge": (Conv2d(n=2, ci=4, h=8, w=6, co=48, **SAME), "winograd"),
    "winograd 5x5": (Conv2d(n=1, ci=3, h=9, w=7, co=5, kh=5, kw=5, padding=(2, 1)), "winograd"),
}
FUSED = {
    "alone": Fused(anchor=SHAPES["1x1 stride 2"][0]),
    "bias": Fused(anchor=SHAPES["uneven"][0], epilogue=("bias",)),
    "bias, residual, relu": Fused(anchor=SHAPES["stride and batch"][0], epilogue=("bias", "add", "relu")),
    "relu6, residual, bias": Fused(anchor=SHAPES["dilation"][0], epilogue=("relu6", "add", "bias")),
    "depthwise": Fused(anchor=SHAPES["depthwise uneven"][0], epilogue=("bias", "relu6")),
    "groups": Fused(anchor=SHAPES["groups"][0], epilogue=("bias", "add", "relu")),
    "dense one row": Fused(anchor=SHAPES["dense one row"][0], epilogue=("bias", "relu")),
    "dense few rows": Fused(anchor=SHAPES["dense few rows"][0], epilogue=("bias", "add", "relu6")),
    "dense": Fused(anchor=SHAPES["dense"][0], epilogue=("bias", "relu", "add")),
    "dense primes": Fused(anchor=SHAPES["dense primes"][0], epilogue=("add",)),
    "winograd": Fused(anchor=SHAPES["winograd of 2"][0], epilogue=("bias", "add", "relu"), algorithm="winograd"),
    "winograd of 4": Fused(anchor=SHAPES["winograd of 4"][0], epilogue=("bias", "relu6"), algorithm="winograd"),
}
SHAPES |= {f"fused, {name}": (workload, "direct") for name, workload in FUSED.items()}
TENSOR_CORES = {
    "tensor cores": (Conv2d(n=2, ci=24, h=7, w=9, co=40, **SAME), "tensor_core"),
    "tensor cores uneven": (
        Conv2d(n=3, ci=5, h=11, w=8, co=19, kh=5, kw=3, stride=(2, 1), padding=(2, 0), dilation=(1, 2)),
        "tensor_core",
    ),
    "tensor cores 1x1": (Conv2d(n=1, ci=33, h=9, w=9, co=70, kh=1, kw=1, stride=(2, 2)), "tensor_core"),
    "tensor cores dense": (Dense(n=64, k=96, m=128), "tensor_core"),
    "tensor cores dense primes": (Dense(n=37, k=29, m=67), "tensor_core"),
    "tensor cores dense one row": (Dense(n=1, k=200, m=10), "tensor_core"),
}
UNBOUND_DRAWS, EMULATED_DRAWS = 2, 1


def case(workload, algorithm, draws, seed):
    """The template, knobs of the default and of random valid configurations, inputs, and what they must give."""
    space = config_space(workload, "cuda", algorithm)
    indices = [space.default, *space.sample_valid(draws, np.random.default_rng(seed)).tolist()]
    inputs, template = random_inputs(workload, 0), template_for(space)
    read = template.rounded(inputs) if isinstance(template, RoundingTemplate) else inputs
    return template, [space.decode(index) for index in indices], inputs, reference(workload, read)


def check(actual, expected, knobs):
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=5e-5 * np.abs(expected).max(), err_msg=str(knobs))


@pytest.mark.parametrize(("workload", "algorithm"), SHAPES.values(), ids=SHAPES)
def test_unbound_every_configuration_computes_the_operator(workload, algorithm, monkeypatch):
    template, configurations, inputs, expected = case(workload, algorithm, UNBOUND_DRAWS, 1)
    monkeypatch.setattr(s_tir.Schedule, "bind", lambda *_: None)
    for knobs in configurations:
        kernel = tvm.compile(template.schedule(workload, knobs, CUDA), target=to_tvm(host_target("llvm")))
        out = tvm.runtime.tensor(np.full(template.out_shape(workload, knobs), np.nan, np.float32))
        kernel["main"](*(tvm.runtime.tensor(a) for a in template.pack(workload, knobs, inputs)), out)
        check(template.unpack(workload, knobs, out.numpy()), expected, knobs)


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
@pytest.mark.parametrize(
    ("workload", "algorithm"), [*SHAPES.values(), *TENSOR_CORES.values()], ids=[*SHAPES, *TENSOR_CORES]
)
def test_generated_source_computes_the_operator_on_fibres(workload, algorithm, tmp_path):
    """Threads take turns in both orders between two barriers, so that a missing barrier shows."""
    template, configurations, inputs, expected = case(workload, algorithm, EMULATED_DRAWS, 2)
    for number, knobs in enumerate(configurations):
        (tmp_path / str(number)).mkdir()
        kernel = emulated(template.schedule(workload, knobs, CUDA), tmp_path / str(number))
        packed = template.pack(workload, knobs, inputs)
        for reverse in (False, True):
            out = np.full(template.out_shape(workload, knobs), np.nan, np.float32)
            kernel([*packed, out], reverse)
            check(template.unpack(workload, knobs, out), expected, knobs)


def emulated(module, folder, change=lambda source: source):
    """Runs a scheduled module: its arrays in order, and whether threads take turns in reverse."""
    source, _ = quick(cuda_source(module, CUDA))  # what is compiled for a GPU
    run = compile_emulated(change(source), launches(module), folder)
    main = module["main"]
    between = {str(b.name): [int(e) for e in b.shape] for b in main.body.block.alloc_buffers if b.scope() == "global"}

    def kernel(arrays, reverse):
        named = dict(zip((str(p.name) for p in main.params), arrays, strict=True))
        run(named | {name: np.full(shape, np.nan, np.float32) for name, shape in between.items()}, reverse)

    return kernel


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_fibres_notice_a_missing_barrier(tmp_path):
    template, (knobs, *_), inputs, expected = case(*SHAPES["groups"], 0, 2)
    kernel = emulated(
        template.schedule(SHAPES["groups"][0], knobs, CUDA), tmp_path, lambda s: s.replace("__syncthreads();", "")
    )
    out = np.zeros_like(expected)
    kernel([*inputs, out], False)
    assert not np.allclose(out, expected)


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("__syncthreads();", ""),
        ("(&(pixels_shared_ptr[", "(&(pixels_shared_ptr[threadIdx.x / 16 * 16 + "),  # lanes that do not agree
        ("), 40);", "), 36);"),  # rows that are not where tensor cores can read them
    ],
)
def test_fibres_notice_what_tensor_cores_must_not_be_given(tmp_path, right, wrong):
    template, (knobs, *_), inputs, expected = case(*TENSOR_CORES["tensor cores"], 0, 2)
    workload, _ = TENSOR_CORES["tensor cores"]

    def change(source):
        assert right in source
        return source.replace(right, wrong)

    kernel = emulated(template.schedule(workload, knobs, CUDA), tmp_path, change)
    answers = []
    for reverse in (False, True):
        out = np.zeros(template.out_shape(workload, knobs), np.float32)
        kernel([*template.pack(workload, knobs, inputs), out], reverse)
        answers.append(np.allclose(template.unpack(workload, knobs, out), expected, atol=1e-3))
    assert not all(answers)


def test_what_is_copied_to_tensor_cores_is_copied_in_vectors():
    """Also where zeros stand in for what is outside: 8 of float16 at once, none of them alone."""
    workload, _ = TENSOR_CORES["tensor cores uneven"]
    space = config_space(workload, "cuda", "tensor_core")
    knobs = space.decode(space.default) | {"tile_m": (1, 8, 4), "tile_n": (1, 1, 2)}  # more threads than vectors
    source = cuda_source(template_for(space).schedule(workload, knobs, CUDA), CUDA)
    assert len(re.findall(r"\*\(uint4\*\)\((?:pixels|weight)_shared_ptr", source)) == 2
    assert not re.search(r"_shared_ptr\[[^&]*\] = ", source)


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_fibres_notice_a_barrier_that_some_threads_miss(tmp_path):
    source = """extern "C" __global__ void __launch_bounds__(4) f(float* __restrict__ out_ptr) {
  if (threadIdx.x < 2) { __syncthreads(); }
  out_ptr[threadIdx.x] = 1;
}"""
    run = compile_emulated(source, [{"threadIdx.x": 4}], tmp_path)
    with pytest.raises(RuntimeError, match="part at a barrier"):
        run({"out": np.zeros(4, np.float32)})
