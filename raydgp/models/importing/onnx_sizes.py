"""Tensors of an ONNX model that no machine has room for, found before anything is run."""

from __future__ import annotations

from math import prod

import onnx
from onnx import ModelProto, TensorProto

from raydgp.errors import InputError

_MOST = 2**31  # elements: what TVM's indices of 32 bits count
_SHORT = 1024  # elements of an initialiser that may be a shape


def check_sizes(model: ModelProto) -> None:
    """Whether all tensors whose shapes can be inferred fit.

    Raises:
        InputError: one does not.
    """
    bare = _without_weights(model)
    try:
        inferred = onnx.shape_inference.infer_shapes(bare, data_prop=True)
    except Exception:  # what cannot be inferred is met again by what runs the model
        inferred = bare
    for value in [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]:
        extents = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        if prod(extents) > _MOST:
            raise InputError(
                f"tensor {value.name!r} of shape {'x'.join(map(str, extents))} has over 2^31 elements: "
                "give smaller shapes with --input"
            )


def _without_weights(model: ModelProto) -> ModelProto:
    """The model without the numbers of its large initialisers, of which only the shapes matter."""
    bare = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    bare.graph.name = model.graph.name
    for field in ("node", "input", "output", "value_info"):
        getattr(bare.graph, field).extend(getattr(model.graph, field))
    for tensor in model.graph.initializer:
        large = prod(tensor.dims) > _SHORT
        kept = TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims) if large else tensor
        bare.graph.initializer.append(kept)
    return bare
