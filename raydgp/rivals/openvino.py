"""A model as OpenVINO runs it on this machine's CPU, by its native interface, tuned for the latency of one call."""

from __future__ import annotations

import openvino

from raydgp.errors import InputError
from raydgp.rivals.names import GPUS
from raydgp.rivals.onnx_file import as_onnx
from raydgp.rivals.ways import Way


def openvino_way(way: str, source: str, target: str, threads: int) -> Way:
    """The model of an ONNX file, or exported by torch, in fp32: left alone, OpenVINO takes bf16 where the CPU has it.

    Raises:
        InputError: it is for a GPU, of which OpenVINO runs none of NVIDIA's.
    """
    if target in GPUS:
        raise InputError("rival 'openvino' runs on CPUs: leave it out")
    core = openvino.Core()
    with as_onnx(source) as (path, inputs, expected):
        model = core.read_model(path)
        model.reshape({value: list(array.shape) for value, array in zip(model.inputs, inputs, strict=True)})
        compiled = core.compile_model(
            model,
            "CPU",
            {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads},
        )
    request = compiled.create_infer_request()
    for value, array in zip(compiled.inputs, inputs, strict=True):
        request.set_tensor(value, openvino.Tensor(array))

    def run() -> None:
        request.infer()

    return run, lambda _: [request.get_tensor(value).data.copy() for value in compiled.outputs], expected
