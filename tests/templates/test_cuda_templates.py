"""CUDA templates against the reference, without a GPU: unbound on the CPU, and the generated source on fibres."""

import re
import shutil

import numpy as np
import pytest
import tvm
from tvm import s_tir

from raydgp import config_space
from raydgp.build.cuda.library import cuda_source
from raydgp.build.launch import Launch
from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm
from raydgp.templates.base import RoundingTemplate
from raydgp.templates.reference import random_inputs, reference
from raydgp.templates.registry import template_for
from tests.support.cuda_cases import CUDA, SHAPES, TENSOR_CORES, emulated
from tests.support.cuda_emulator import compile_emulated

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
        kernel = tvm.compile(template.schedule(workload, knobs, CUDA), target=to_tvm(Target.here("llvm")))
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


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_fibres_notice_a_missing_barrier(tmp_path):
    workload, algorithm = SHAPES["groups"]
    template, (knobs, *_), inputs, expected = case(workload, algorithm, 0, 2)
    kernel = emulated(template.schedule(workload, knobs, CUDA), tmp_path, lambda s: s.replace("__syncthreads();", ""))
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
    launch = Launch(kernel="f", grid=(1, 1, 1), block=(4, 1, 1), arguments=(0,))
    run = compile_emulated(source, [launch], tmp_path)
    with pytest.raises(RuntimeError, match="part at a barrier"):
        run([np.zeros(4, np.float32)])
