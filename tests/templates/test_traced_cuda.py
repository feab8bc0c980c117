"""Kernels without a template on a GPU: MetaSchedule's spaces, and what their configurations compute, on fibres."""

import shutil

import numpy as np
import pytest
import tvm
from tvm import te, topi

from raydgp import config_space
from raydgp.build.compile import compile_kernel
from raydgp.errors import BuildError, InputError
from raydgp.targets import Target
from raydgp.templates.reference import random_inputs, reference
from raydgp.templates.registry import template_for
from raydgp.templates.traced.cuda import CudaRules
from raydgp.templates.traced.extract import kernel
from tests.support.cuda_cases import CUDA, emulated
from tests.support.processes import python
from tests.support.traced_kernels import KERNELS, primitive


@pytest.fixture(scope="module")
def workloads():
    return {name: kernel(name, primitive(name), CUDA) for name in KERNELS}


def compiled(space, index, folder):
    """The kernel on fibres; None where TVM does not compile the configuration, which a search takes for a failure."""
    folder.mkdir(exist_ok=True)
    module = template_for(space).schedule(space.workload, space.decode(index), CUDA)
    try:
        return emulated(module, folder)
    except tvm.error.InternalError:
        return None


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
@pytest.mark.parametrize("name", KERNELS)
def test_generated_source_computes_the_kernel_on_fibres(workloads, name, tmp_path):
    """By the default, and by one of another sketch where there are several."""
    space = config_space(workloads[name], "cuda")
    inputs = random_inputs(space.workload, 0)
    expected = reference(space.workload, inputs)
    valid = np.flatnonzero(space.valid(np.arange(min(space.size, 1 << 16))))
    other = valid[np.argsort(-space.columns(valid)["sketch"][:, 0])] if space.knobs[0].name == "sketch" else valid
    others = (compiled(space, int(index), tmp_path / "other") for index in other)
    for run in (compiled(space, space.default, tmp_path / "default"), next(filter(None, others))):
        for reverse in (False, True):
            out = np.full(expected.shape, np.nan, np.float32)
            run([*inputs, out], reverse)
            np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)


def test_a_task_does_not_depend_on_the_kind_of_gpu(workloads):
    for name in KERNELS:
        assert kernel(name, primitive(name), Target.named("cuda/sm_90")) == workloads[name]


def test_knobs_have_names_of_their_own(workloads):
    space = config_space(workloads["matmul"], "cuda")
    names = [knob.name for knob in space.knobs]
    assert [name for name in names if "fetch" in name] == ["cooperative_fetch", "cooperative_fetch_1"]
    assert "unroll_explicit" in names


def test_most_of_what_is_valid_is_built_and_the_rest_is_told(workloads):
    workload = workloads["matmul"]
    space = config_space(workload, "cuda")
    built, refused = 0, []
    for index in space.sample_valid(12, np.random.default_rng(0)).tolist():
        try:
            template_for(space).schedule(workload, space.decode(index), CUDA)
            built += 1
        except Exception as error:
            refused.append(str(error))
    assert built >= 6
    assert all("VerifyGPUCode" in reason for reason in refused)


def test_what_a_gpu_cannot_run_is_a_build_error(workloads):
    space = config_space(workloads["matmul"], "cuda")
    one_thread = {"tile_0": (2, 1, 1, 1, 1), "tile_1": (12, 1, 1, 1, 1), "tile_2": (8, 1, 1, 1, 1)}
    with pytest.raises(BuildError, match="VerifyGPUCode"):
        compile_kernel(space.template, space.workload, space.decode(space.default) | one_thread, CUDA)


def test_a_kernel_whose_defaults_do_not_run_has_no_space(monkeypatch):
    monkeypatch.setattr(CudaRules, "defaults", lambda self, target: [])
    x = te.placeholder((4, 6), name="x")
    with pytest.raises(InputError, match="runs on an NVIDIA GPU"):
        kernel("exp", te.create_prim_func([x, topi.exp(x)]), CUDA)


def test_tvms_tensor_intrinsics_are_not_imported(workloads):
    """They take half a minute."""
    code = """
import sys
from raydgp import config_space
from raydgp.templates.registry import template_for
from raydgp.templates.traced.extract import kernel
from tests.support.cuda_cases import CUDA
from tests.support.traced_kernels import primitive
space = config_space(kernel("pool", primitive("pool"), CUDA), "cuda")
template_for(space).schedule(space.workload, space.decode(space.default), CUDA)
print([name for name in sys.modules if name.startswith("tvm.s_tir.tensor_intrin")])
"""
    done = python("-c", code)
    assert done.stdout.strip() == "[]"
