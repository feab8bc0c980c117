"""ONNX models of half precision made into models of float32, which every processor computes with."""

from __future__ import annotations

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, numpy_helper

_HALVES: dict[int, str] = {TensorProto.FLOAT16: "float16", TensorProto.BFLOAT16: "bfloat16"}
_TYPES = {"to", "dtype", "stash_type", "output_dtype"}  # attributes that name a type


def single(model: ModelProto) -> list[str]:
    """Turns every half, in place, into a float; inputs and outputs, too.

    Returns:
        What was done, in words.
    """
    found: set[int] = set()
    _graph(model.graph, found)
    for function in model.functions:
        for node in function.node:
            _attributes(node.attribute, found)
    if not found:
        return []
    kinds = " and ".join(sorted(_HALVES[kind] for kind in found))
    return [f"the model is of {kinds}: computed in float32, which its inputs and outputs are of, too"]


def _graph(graph: GraphProto, found: set[int]) -> None:
    for value in [*graph.input, *graph.output, *graph.value_info]:
        tensor = value.type.tensor_type
        if tensor.elem_type in _HALVES:
            found.add(tensor.elem_type)
            tensor.elem_type = TensorProto.FLOAT
    for tensor in graph.initializer:
        _widen(tensor, found)
    for node in graph.node:
        _attributes(node.attribute, found)


def _attributes(attributes: object, found: set[int]) -> None:
    for attribute in attributes:  # type: ignore[attr-defined]
        if attribute.name in _TYPES and attribute.i in _HALVES:
            found.add(attribute.i)
            attribute.i = TensorProto.FLOAT
        if attribute.HasField("t"):
            _widen(attribute.t, found)
        for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
            _graph(graph, found)


def _widen(tensor: TensorProto, found: set[int]) -> None:
    if tensor.data_type in _HALVES:
        found.add(tensor.data_type)
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
