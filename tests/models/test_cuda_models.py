"""Whole models for a GPU, without one: the graph's numbers on the CPU, and what the compiled library holds."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import tvm
from tvm import relax, s_tir

from raydgp.build.compile import link
from raydgp.build.cuda import compiler as cuda_compiler
from raydgp.errors import InputError
from raydgp.measure.local import LocalMeasurer
from raydgp.models.importing import load
from raydgp.models.lowering import compile_model, lower
from raydgp.models.machine import Machine
from raydgp.models.packing import pack
from raydgp.rivals.ways import make
from raydgp.settings import MeasureSettings
from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm
from raydgp.templates.registry import template_for
from raydgp.templates.spaces import config_space
from raydgp.workloads import Conv2d, Dense, DepthwiseConv2d, Fused, GroupConv2d, TracedKernel
from tests.support.networks import Everything, imported

CUDA = Target.named("cuda/sm_90")
# stands in for TVM's CUDA runtime, which cannot be loaded without a driver, and prints what it is given
LOADER = """
import re, sys
sys.modules["torch"] = None
import tvm, tvm_ffi
from tvm import relax, te

@tvm_ffi.register_global_func("ffi.Module.load_from_bytes.cuda")
def load(content):
    content = bytes(content)
    print(content[8:13].decode(), content.count(b"\\x7fELF"), b"__global__" in content)
    print(*sorted(set(re.findall(rb"\\.text\\.(\\w+)", content)), key=len))
    x = te.placeholder((1,))
    return tvm.compile(te.create_prim_func([x, te.compute((1,), lambda i: x[i])]), target="llvm").mod

library = tvm.runtime.load_module(sys.argv[1])
print(relax.VirtualMachine(library, tvm.cpu())["main"] is not None)
"""


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module, inputs = Everything().eval(), (torch.randn(2, 3, 32, 24),)
    with torch.no_grad():
        return imported(module, inputs), [a.numpy() for a in inputs], [a.numpy() for a in module(*inputs)]


def default(workload):
    return template_for(config_space(workload, CUDA)).schedule(workload, default_knobs(workload), CUDA)["main"]


def default_knobs(workload):
    space = config_space(workload, CUDA)
    return space.decode(space.default)


def drawn(workload):
    space = config_space(workload, CUDA)
    return space.decode(int(space.sample_valid(1, np.random.default_rng(3))[0]))


def direct(layer):
    return layer, drawn(layer)


def by_winograd(layer):
    anchor = layer.anchor
    if isinstance(anchor, Conv2d) and (anchor.kh, anchor.stride, anchor.dilation) == (3, (1, 1), (1, 1)):
        layer = replace(layer, algorithm="winograd")
    return layer, drawn(layer)


def on_the_cpu(lowered, knobs, monkeypatch):
    """The model with its layers scheduled for a GPU, threads as loops, and everything else as it is."""
    monkeypatch.setattr(s_tir.Schedule, "bind", lambda *_: None)
    module = lowered.module
    for task in lowered.tasks:
        if isinstance(task.workload, Fused):
            template = template_for(config_space(task.workload, CUDA))
            scheduled = template.schedule(task.workload, knobs(task.workload), CUDA)["main"]
            module.update_func(module.get_global_var(task.name), scheduled.without_attr("global_symbol"))
    executable = tvm.compile(module, target=to_tvm(Target.here("llvm")))
    return relax.VirtualMachine(executable, tvm.cpu())["main"]


@pytest.mark.parametrize("choose", [direct, by_winograd])
def test_the_numbers_are_torchs(model, choose, monkeypatch):
    module, inputs, expected = model
    lowered = lower(module, CUDA, choose)
    algorithms = {task.workload.algorithm for task in lowered.tasks if isinstance(task.workload, Fused)}
    assert algorithms == ({"direct", "winograd"} if choose is by_winograd else {"direct"})
    main = on_the_cpu(lowered, drawn, monkeypatch)
    out = main(*(tvm.runtime.tensor(np.asarray(a)) for a in [*inputs, *lowered.parameters]))
    for actual, wanted in zip(out, expected, strict=True):
        np.testing.assert_allclose(actual.numpy(), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_a_networks_numbers_are_torchs(monkeypatch):
    network = load("squeezenet_v1_1")
    lowered = lower(network.module, CUDA)
    main = on_the_cpu(lowered, default_knobs, monkeypatch)
    out = main(*(tvm.runtime.tensor(np.asarray(a)) for a in [*network.inputs, *lowered.parameters]))
    (wanted,) = network.expected
    np.testing.assert_allclose(out.numpy(), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_layers_read_and_write_plain_arrays(model):
    layers = list(pack(model[0], Target.named("cuda")).layers.values())
    assert {(layer.block_in, layer.block_out) for layer in layers} == {(1, 1)}
    kinds = [type(layer.anchor) for layer in layers]
    assert [kinds.count(kind) for kind in (Conv2d, DepthwiseConv2d, GroupConv2d, Dense)] == [7, 1, 1, 2]
    by_steps = {(layer.anchor.op, layer.epilogue) for layer in layers}
    assert ("conv2d", ("add", "relu")) in by_steps or ("conv2d", ("bias", "add", "relu")) in by_steps
    assert ("dense", ("bias", "add")) in by_steps


def test_tasks_are_the_same_for_every_gpu(model):
    for source in (model[0], load("transformer_block").module):
        here, there = (lower(source, target).tasks for target in (Target.named("cuda/sm_75"), CUDA))
        assert here == there


def test_everything_is_a_task(model):
    lowered = lower(load("transformer_block").module, CUDA)
    kernels = [function for function in lowered.module.functions.values() if isinstance(function, tvm.tirx.PrimFunc)]
    assert len(lowered.tasks) == len(kernels)
    assert sum(isinstance(task.workload, TracedKernel) for task in lowered.tasks) >= 8


def test_the_library_has_one_cubin_with_every_kernel(model, tmp_path):
    try:
        cuda_compiler.compiler_for("sm_90")
    except InputError as error:
        pytest.skip(str(error))
    lowered = lower(model[0], CUDA)
    path = tmp_path / "model.so"
    compile_model(lowered, CUDA, default).export_library(str(path), fcompile=link)
    command = [sys.executable, "-c", LOADER, str(path)]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    form, entries, found = answer.stdout.splitlines()
    assert (form, found) == ("cubin 1 False", "True")
    names = {name.removesuffix("_kernel") for name in re.findall(r"b'(\w+)'", entries)}
    assert names >= {task.name for task in lowered.tasks}


def test_functions_without_a_task_get_threads_from_tvm(model):
    lowered = lower(model[0], CUDA)
    (pool,) = [task for task in lowered.tasks if task.name == "max_pool2d"]
    lowered.tasks.remove(pool)
    source = compile_model(lowered, CUDA, default).source
    assert re.search(r"__launch_bounds__\(\d+\) max_pool2d_kernel", source)


def test_what_lacks_a_gpu_is_told_in_a_line(tmp_path):
    if tvm.device("cuda").exist:
        pytest.skip("there is a GPU")
    with pytest.raises(InputError, match="for an NVIDIA GPU, and there is none here"):
        Machine(None, "cuda")
    with pytest.raises(InputError, match=r"no CUDA, or no GPU is here"):
        make("torch eager", "transformer_block", "cuda", 1)
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(InputError, match="pip install onnxruntime-gpu"):
            make("onnxruntime", "transformer_block", "cuda", 1)


@pytest.mark.gpu
@pytest.mark.skipif(not tvm.device("cuda").exist, reason="no GPU here")
@pytest.mark.parametrize("choose", [direct, by_winograd])
def test_on_a_gpu_the_numbers_are_torchs(model, choose, tmp_path):
    module, inputs, expected = model
    target = Target.here("cuda")
    lowered = lower(module, target, choose)

    def scheduled(workload):
        knobs = drawn(workload) if isinstance(workload, Fused) else default_knobs(workload)
        return template_for(config_space(workload, target)).schedule(workload, knobs, target)["main"]

    compile_model(lowered, target, scheduled).export_library(str(tmp_path / "model.so"), fcompile=link)
    machine = Machine(tvm.runtime.load_module(str(tmp_path / "model.so")), "cuda")
    out = machine.call(machine.tensors([*inputs, *lowered.parameters]))
    for actual, wanted in zip(out, expected, strict=True):
        np.testing.assert_allclose(actual.numpy(), wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.gpu
@pytest.mark.skipif(not tvm.device("cuda").exist, reason="no GPU here")
@pytest.mark.parametrize("source", ["resnet18", "mobilenet_v1", "transformer_block"])
def test_on_a_gpu_every_kernels_default_is_right(source):
    target = Target.here("cuda")
    with LocalMeasurer(target, MeasureSettings(min_repeat_ms=5)) as measurer:
        for task in lower(load(source).module, target).tasks:
            space = config_space(task.workload, target)
            (measured,) = measurer.measure(space, np.array([space.default]))
            assert measured.ok, (task.name, measured.error)
