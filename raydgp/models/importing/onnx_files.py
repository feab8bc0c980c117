"""An ONNX file read, checked, its inputs given fixed shapes: what there is before anything is translated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto
from onnx.helper import make_tensor_value_info, tensor_dtype_to_string

from raydgp.errors import InputError, nearest
from raydgp.models.importing.onnx_parts import in_order, read_by
from raydgp.models.importing.onnx_running import session
from raydgp.models.refusal import refusal

Shape = tuple[int, ...]
_OPEN = (0, -1)  # how exporters write a size that is not known
NEWEST_IR = 13  # that onnxruntime 1.31 reads; later ones add types, which it does not compute with


def read(path: Path) -> ModelProto:
    """The model of a file, external data with it, initialisers no longer among its inputs.

    Raises:
        InputError: it is no ONNX model, or one that neither its own standard allows nor onnxruntime takes.
    """
    with refusal(path, "broken, export it again"):
        model = onnx.load(path)
        try:
            onnx.checker.check_model(str(path))
        except onnx.checker.ValidationError as error:
            try:
                session(model)  # it takes what lacks a declaration, as some exporters' files do
            except Exception as deeper:
                raise (deeper if str(error).startswith("Field") else error) from None
    return tidied(path, model)


def tidied(path: Path, model: ModelProto) -> ModelProto:
    """A model, changed in place: nodes in order, no initialisers among its inputs, a version that onnxruntime reads."""
    model.ir_version = min(model.ir_version, NEWEST_IR)
    initialised = {tensor.name for tensor in model.graph.initializer}
    if initialised:
        inputs = [value for value in model.graph.input if value.name not in initialised]
        del model.graph.input[:]
        model.graph.input.extend(inputs)
    nodes = in_order(model.graph.node)
    if any(node is not other for node, other in zip(nodes, model.graph.node, strict=True)):
        kept = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del model.graph.node[:]
        model.graph.node.extend(kept)
    if not model.graph.output:
        raise InputError(f"{path}: the model has no outputs")
    return model


def without_objects(model: ModelProto) -> list[str]:
    """Leaves out, in place, what is no number: names of classes, and dictionaries of the scores of each.

    Returns:
        What was left out, in words.

    Raises:
        InputError: nothing is left.
    """
    tensors: set[str] = set()
    for node in model.graph.node:
        if node.op_type == "ZipMap" or (node.op_type == "Identity" and node.input[0] in tensors):
            tensors.update(node.output)
            node.op_type, node.domain = "Identity", ""
            del node.attribute[:]
    made = [value for value in model.graph.output if value.name in tensors]
    for value in made:
        value.CopyFrom(make_tensor_value_info(value.name, TensorProto.FLOAT, None))
    notes = [f"output {value.name} is a tensor of a row's scores, not a list of dictionaries" for value in made]
    for value in [each for each in model.graph.output if each.type.tensor_type.elem_type == TensorProto.STRING]:
        model.graph.output.remove(value)
        notes.append(f"output {value.name} is of strings, which TVM does not hold: left out")
        _leave_unread_out(model.graph)
    if not model.graph.output:
        raise InputError("all outputs are of strings, which TVM does not hold")
    return notes


def _leave_unread_out(graph: GraphProto) -> None:
    """Leaves out nodes, which stand in order, that no output needs."""
    needed = {value.name for value in graph.output}
    for node in reversed(list(graph.node)):
        if needed.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            needed.update(read_by(node))


def fix_inputs(path: Path, model: ModelProto, given: Mapping[str, Sequence[int]]) -> list[str]:
    """Gives every input of a model, in place, a fixed shape: the given one, or batch 1 where the batch alone is open.

    Args:
        given: shapes by the names of inputs.

    Returns:
        What was chosen, in words.

    Raises:
        InputError: dimensions that are open still, a shape that does not fit, an input that is no tensor.
    """
    names = [value.name for value in model.graph.input]
    for name in given:
        if name not in names:
            raise InputError(
                f"{path}: has no input {name!r}{nearest(name, names)}; it has {', '.join(names) or 'none'}"
            )
    notes: list[str] = []
    named: dict[str, int] = {}
    for value in model.graph.input:
        kind = value.type.WhichOneof("value")
        if kind != "tensor_type":
            said = (kind or "untyped").removesuffix("_type")
            raise InputError(f"{path}: input {value.name!r}: {said} inputs cannot be imported; make it tensors")
        if value.type.tensor_type.elem_type in (TensorProto.STRING, TensorProto.UNDEFINED):
            raise InputError(f"{path}: input {value.name!r} is of strings, which TVM does not compute with")
        if value.name in given:
            _set(path, value, tuple(given[value.name]), named)
    for value in model.graph.input:
        notes += _one_batch(value, named)
    _check_closed(path, model.graph.input, named)
    for value in model.graph.output:  # their open dimensions are inferred anew
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    return notes


def _set(path: Path, value: ValueInfoProto, shape: Shape, named: dict[str, int]) -> None:
    tensor = value.type.tensor_type
    declared = [dim.dim_value for dim in tensor.shape.dim]
    fits = len(declared) == len(shape) and all(
        have in (want, *_OPEN) for have, want in zip(declared, shape, strict=True)
    )
    if tensor.HasField("shape") and not fits:
        raise InputError(f"{path}: input {value.name!r} is {described(value)}, not {'x'.join(map(str, shape))}")
    for dim, size in zip(tensor.shape.dim, shape, strict=False):
        if not dim.dim_value and dim.dim_param:
            named[dim.dim_param] = size
    tensor.shape.ClearField("dim")
    for size in shape:
        tensor.shape.dim.add().dim_value = size


def _one_batch(value: ValueInfoProto, named: dict[str, int]) -> list[str]:
    """Closes the first dimension by 1 where it alone is open; other inputs have its size under its name."""
    dims = value.type.tensor_type.shape.dim
    opened = _opened(value, named)
    if opened != [0] or len(dims) == 1:
        return []
    if dims[0].dim_param:
        named[dims[0].dim_param] = 1
    dims[0].dim_value = 1
    return [f"input {value.name} is {described(value)}: batch 1; another is --input {value.name}=Nx{_rest(value)}"]


def _check_closed(path: Path, values: Sequence[ValueInfoProto], named: Mapping[str, int]) -> None:
    """Sees that nothing is open any more; else tells of every input that must be given for the others to follow."""
    said, options = [], []
    followed: set[str] = set()
    for value in values:
        dims = value.type.tensor_type.shape.dim
        if not value.type.tensor_type.HasField("shape"):
            raise InputError(
                f"{path}: input {value.name!r} has no shape: give one with --input {value.name}=1x3x224x224"
            )
        opened = {place: dims[place].dim_param for place in _opened(value, named)}
        if all(name in followed for name in opened.values()):
            continue
        followed |= set(opened.values()) - {""}
        where = ", ".join(f"{name or '?'} at position {place}" for place, name in opened.items())
        said.append(f"input {value.name!r} ({described(value)}) has dynamic dimensions ({where})")
        example = "x".join(str(dim.dim_value) if dim.dim_value > 0 else "1" for dim in dims)
        options.append(f"--input {value.name}={example}")
    if said:
        raise InputError(f"{path}: {', '.join(said)}: fix them with {' '.join(options)}, with your sizes")


def _opened(value: ValueInfoProto, named: Mapping[str, int]) -> list[int]:
    """Places of the dimensions that are open still, those closed that are known by name from elsewhere."""
    dims = value.type.tensor_type.shape.dim
    for dim in dims:
        if dim.dim_value <= 0 and dim.dim_param in named:
            dim.dim_value = named[dim.dim_param]
    return [place for place, dim in enumerate(dims) if dim.dim_value <= 0 and not _empty(dim)]


def _empty(dim: onnx.TensorShapeProto.Dimension) -> bool:
    return bool(dim.HasField("dim_value") and dim.dim_value == 0)


def _rest(value: ValueInfoProto) -> str:
    return "x".join(str(dim.dim_value) for dim in value.type.tensor_type.shape.dim[1:])


def described(value: ValueInfoProto) -> str:
    """A tensor's type and shape, as `float 1x3x?x?`."""
    tensor = value.type.tensor_type
    dims = [str(dim.dim_value) if dim.dim_value > 0 else dim.dim_param or "?" for dim in tensor.shape.dim]
    return f"{tensor_dtype_to_string(tensor.elem_type).removeprefix('TensorProto.').lower()} {'x'.join(dims)}"
