"""A model as onnxruntime runs it, on this machine's CPU or GPU; there without TF32, with data that stays on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime

from raydgp.errors import InputError
from raydgp.rivals.names import GPUS
from raydgp.rivals.onnx_file import as_onnx
from raydgp.rivals.ways import Array, Run, Way


def onnxruntime_way(way: str, source: str, target: str, threads: int) -> Way:
    """The model of an ONNX file, or exported by torch.

    Raises:
        InputError: of a GPU, onnxruntime was installed without CUDA.
    """
    providers: list[Any] = ["CPUExecutionProvider"]
    if gpu := GPUS.get(target):
        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            raise InputError("this onnxruntime has no CUDA: pip install onnxruntime-gpu in its place")
        providers = [("CUDAExecutionProvider", {"use_tf32": 0}), *providers]  # the CPU's for what lacks a CUDA kernel
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    with as_onnx(source) as (path, inputs, expected):
        session = onnxruntime.InferenceSession(path, options, providers=providers)
    feeds = {value.name: _typed(array, value.type) for value, array in zip(session.get_inputs(), inputs, strict=True)}
    if gpu:
        return _bound(session, feeds, gpu), lambda binding: binding.copy_outputs_to_cpu(), expected
    return lambda: session.run(None, feeds), list, expected


def _typed(array: Array, kind: str) -> Array:
    """An input as a session takes it: a model in half precision is computed in float32 by us alone."""
    return array.astype(np.float16) if kind == "tensor(float16)" else array


def _bound(session: Any, feeds: dict[str, Array], gpu: str) -> Run:
    """A call with inputs and outputs that stay on the GPU."""
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
