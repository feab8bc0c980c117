"""What TVM cannot compute of a model runs beside it: ONNX models that the compiled module calls by name.

The virtual machine calls a function of this process in the middle of the model, so order, memory and the measured
latency are those of one model; arrays are copied from one runtime to the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import tvm

from raydgp.errors import InputError


def name_of(model: bytes) -> str:
    """The name by which a compiled module calls an ONNX model: the same for the same bytes."""
    return f"raydgp.beside.{hashlib.sha256(model).hexdigest()[:16]}"


def register(models: Mapping[str, bytes], threads: int = 0) -> None:
    """Makes the functions that a module calls known to TVM in this process.

    Args:
        models: ONNX models by the names of their functions.
        threads: of each; onnxruntime's own choice where 0.

    Raises:
        InputError: onnxruntime is not installed.
    """
    for name, model in models.items():
        tvm.register_global_func(name, runner(model, threads), override=True)


def runner(model: bytes, threads: int) -> Callable[..., Any]:
    """The function of TVM tensors that an ONNX model is: its outputs, in a list where there are several.

    Raises:
        InputError: as `register`.
    """
    try:
        import onnxruntime  # a deployed model without such parts needs TVM alone
    except ImportError:
        raise InputError("parts of the model run by onnxruntime: pip install onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]

    def run(*arguments: Any) -> Any:
        feeds = {name: argument.numpy() for name, argument in zip(names, arguments, strict=True)}
        device = arguments[0].device if arguments else tvm.cpu()
        outputs = [tvm.runtime.tensor(array, device) for array in session.run(None, feeds)]
        return outputs[0] if len(outputs) == 1 else outputs

    return run
