"""Small ONNX models, built node by node."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

Ends = Mapping[str, tuple[int, Sequence[Any] | None]]  # by name the type and shape

FLOAT = TensorProto.FLOAT


def onnx_model(
    nodes: Sequence[NodeProto], inputs: Ends, outputs: Ends, weights: Mapping[str, Any] | None = None, opset: int = 17
) -> ModelProto:
    given, made = ([make_tensor_value_info(name, *kind) for name, kind in side.items()] for side in (inputs, outputs))
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in (weights or {}).items()]
    graph = make_graph(nodes, "small", given, made, tensors)
    return make_model(graph, opset_imports=[make_opsetid("", opset)], ir_version=8)


def beside(folder: Path) -> str:
    """A convolution, an operator that TVM lacks, and a dense layer, in a file."""
    rng = np.random.default_rng(0)
    nodes = [
        make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        make_node("Relu", ["c"], ["r"]),
        make_node("Det", ["r"], ["d"]),
        make_node("Tanh", ["d"], ["t"]),
        make_node("MatMul", ["t", "m"], ["y"]),
    ]
    weights = {
        name: rng.standard_normal(shape).astype("f") / 5 for name, shape in (("w", (16, 3, 3, 3)), ("m", (16, 8)))
    }
    model = onnx_model(nodes, {"x": (FLOAT, [1, 3, 5, 5])}, {"y": (FLOAT, [1, 8])}, weights)
    onnx.save(model, folder / "beside.onnx")
    return str(folder / "beside.onnx")
