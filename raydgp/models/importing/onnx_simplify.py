"""An ONNX model folded and simplified by onnxruntime's offline optimisation, with every shape inferred."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Collection
from pathlib import Path

import onnx
import onnx.inliner
import onnxruntime
from onnx import ModelProto, version_converter
from onnx.helper import make_tensor_value_info

from raydgp.models.importing.onnx_running import LARGE, session

NEWEST_OPSET = 26  # of those that onnxruntime 1.31 knows


def simplified(model: ModelProto, expand: Collection[str] = ()) -> ModelProto:
    """The model with constants folded, dead nodes gone, and shapes inferred; as it was where onnxruntime cannot.

    Args:
        expand: operators of ONNX's own domain that are replaced by what they are defined as.
    """
    model = _expanded(_supported_opset(model), expand)
    with contextlib.suppress(Exception):  # of an operator that onnxruntime lacks; the import tells what that means
        model = _optimised(model)
    return inferred(model)


def _expanded(model: ModelProto, names: Collection[str]) -> ModelProto:
    """The model without functions, its own and those of ONNX's operators, which need the types of their inputs."""
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    if not {node.op_type for node in model.graph.node} & set(names):
        return model
    functions = [("", name) for name in names]
    typed = inferred(model)
    known = {value.name for value in typed.graph.value_info}
    for tensor in typed.graph.initializer:  # the inliner looks for types in declarations alone
        if tensor.name not in known:
            typed.graph.value_info.append(make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    with contextlib.suppress(Exception):  # where types are not known still; what stays is not translated
        return _older(onnx.inliner.inline_selected_functions(typed, functions, inline_schema_functions=True))
    return model


def _older(model: ModelProto) -> ModelProto:
    """A model that calls itself newer than onnxruntime is, of operators that are not."""
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx") and opset.version > NEWEST_OPSET:
            kinds = {node.op_type for node in model.graph.node if node.domain in ("", "ai.onnx")}
            if all(onnx.defs.get_schema(kind, opset.version).since_version <= NEWEST_OPSET for kind in kinds):
                opset.version = NEWEST_OPSET
    return model


def inferred(model: ModelProto) -> ModelProto:
    """The model with the types and shapes of all its tensors, as far as they can be inferred."""
    try:
        if model.ByteSize() < LARGE:
            return onnx.shape_inference.infer_shapes(model, data_prop=True)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            onnx.save(model, path, save_as_external_data=True)
            onnx.shape_inference.infer_shapes_path(str(path), data_prop=True)
            return onnx.load(path)
    except onnx.shape_inference.InferenceError:
        return model


def _optimised(model: ModelProto) -> ModelProto:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "simple.onnx"
        options.optimized_model_filepath = str(path)
        if model.ByteSize() > LARGE // 2:
            options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "weights.bin")
        session(model, options)
        return onnx.load(path)


def _supported_opset(model: ModelProto) -> ModelProto:
    """The model in operators that onnxruntime knows, where its own are newer and can be converted."""
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx") and opset.version > NEWEST_OPSET:
            try:
                return version_converter.convert_version(model, NEWEST_OPSET)
            except Exception:
                return model
    return model
