"""Types of tensors that ONNX cannot infer, as those of operators of other domains, found by running the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray
from onnx import ModelProto
from onnx.helper import make_tensor_value_info, np_dtype_to_tensor_dtype

from raydgp.models.importing.onnx_running import Reference, outputs_of
from raydgp.models.importing.onnx_simplify import inferred

Array = NDArray[Any]


def typed(model: ModelProto, feeds: Mapping[str, Array]) -> ModelProto:
    """The model with a type for each tensor.

    Args:
        model: simplified, its shapes inferred as far as ONNX knows them.
        feeds: its inputs.

    Raises:
        Exception: whatever onnxruntime raises.
    """
    graph = model.graph
    known = {value.name for value in [*graph.value_info, *graph.output] if value.type.WhichOneof("value")}
    known -= {value.name for value in graph.output if not value.type.tensor_type.elem_type}
    unknown = [name for node in graph.node for name in node.output if name and name not in known]
    if not unknown:
        return model
    arrays = Reference(outputs_of(model, unknown))(feeds)
    for value in [value for value in graph.output if value.name in unknown]:
        value.ClearField("type")
    graph.value_info.extend(
        make_tensor_value_info(name, np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in zip(unknown, arrays, strict=True)
    )
    return inferred(model)
