"""A model as torch and onnxruntime run it, on this machine's CPU or GPU: what a deployed model is compared with.

On a GPU they compute in fp32 as we do, without TF32, which rounds what is multiplied to 10 bits; inputs are there when
a call begins, and it is over when the device is done.

A library is loaded by its own way alone: onnxruntime is of an extra, and the threads of one disturb the other's time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from raydgp.errors import InputError

Array = NDArray[Any]
Run = Callable[[], Any]
Way = tuple[Run, Callable[[Any], list[Array]], tuple[Array, ...]]  # a call, its output as arrays, what is expected

_GPUS = {"cuda": "cuda"}  # how torch and onnxruntime call the GPU of a kind of target; without one, they use the CPU


def torch_ways(kind: str) -> tuple[str, ...]:
    """The ways in which torch runs a model beside one for a kind of target; it freezes models for CPUs alone."""
    return ("torch eager", "torch channels_last", *(() if kind in _GPUS else ("torch frozen",)), "torch compiled")


def torch_way(way: str, source: str, kind: str, threads: int) -> Way:
    """A model as one of `torch_ways` runs it.

    Raises:
        InputError: of a GPU, torch was installed without CUDA.
    """
    # not for onnxruntime's way
    import torch

    from raydgp.models.importing import load_torch

    if gpu := _GPUS.get(kind):
        _prepare_gpu()
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    module: Any
    module, inputs = load_torch(source)
    expected = tuple(a.numpy() for a in _leaves(module(*inputs)))
    if gpu:
        module, inputs = module.to(gpu), tuple(a.to(gpu) for a in inputs)
    if way == "torch channels_last":
        module = module.to(memory_format=torch.channels_last)
        inputs = tuple(a.to(memory_format=torch.channels_last) if a.ndim == 4 else a for a in inputs)
    elif way == "torch frozen":
        module = torch.jit.optimize_for_inference(torch.jit.trace(module, inputs))
    elif way == "torch compiled":
        module = torch.compile(module)

    def run() -> Any:
        out = module(*inputs)
        if gpu:
            torch.cuda.synchronize()
        return out

    return run, lambda out: [a.cpu().numpy() for a in _leaves(out)], expected


def _prepare_gpu() -> None:
    import torch  # not for onnxruntime's way

    if not torch.cuda.is_available():
        raise InputError("this torch has no CUDA, or no GPU is here: install the wheel of torch for CUDA")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True  # shapes are fixed: cuDNN's fastest algorithm, not its first guess


def onnxruntime_way(source: str, kind: str, threads: int) -> Way:
    """The model of an ONNX file, or exported by torch.

    Raises:
        InputError: of a GPU, onnxruntime was installed without CUDA.
    """
    import onnxruntime  # of an extra

    providers: list[Any] = ["CPUExecutionProvider"]
    if gpu := _GPUS.get(kind):
        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            raise InputError("this onnxruntime has no CUDA: pip install onnxruntime-gpu in its place")
        providers = [("CUDAExecutionProvider", {"use_tf32": 0}), *providers]  # the CPU's for what lacks a CUDA kernel
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    if source.lower().endswith(".onnx"):
        from raydgp.models.importing import load  # loads torch

        model = load(source, check=False)
        session = onnxruntime.InferenceSession(source, options, providers=providers)
        inputs, expected = model.inputs, model.expected
    else:
        # only to export
        import torch

        from raydgp.models.importing import load_torch

        module, tensors = load_torch(source)
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            path = str(Path(folder) / "model.onnx")
            torch.onnx.export(module, tensors, path, dynamo=False)
            session = onnxruntime.InferenceSession(path, options, providers=providers)
            inputs, expected = tuple(a.numpy() for a in tensors), tuple(a.numpy() for a in _leaves(module(*tensors)))
    feeds = dict(zip((value.name for value in session.get_inputs()), inputs, strict=True))
    if gpu:
        return _bound(session, feeds, gpu), lambda binding: binding.copy_outputs_to_cpu(), expected
    return lambda: session.run(None, feeds), list, expected


def _bound(session: Any, feeds: dict[str, Array], gpu: str) -> Run:
    """A call with inputs and outputs that stay on the GPU."""
    import onnxruntime  # of an extra

    if session.get_providers()[0] != "CUDAExecutionProvider":
        raise InputError("onnxruntime cannot use the GPU here: its version of CUDA or of cuDNN is missing")
    binding = session.io_binding()
    for name, array in feeds.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array, gpu, 0))
    for value in session.get_outputs():
        binding.bind_output(value.name, gpu)

    def run() -> Any:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return binding

    return run


def _leaves(out: Any) -> list[Any]:
    from torch.utils._pytree import tree_leaves  # not for an ONNX file

    return list(tree_leaves(out))
