"""Example inputs of an ONNX model: seeded, of the declared shapes, whole numbers within what they index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, ValueInfoProto

from raydgp.errors import InputError

Array = NDArray[Any]
Feeds = dict[str, Array]

_SAME = {"Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Flatten", "Transpose", "Concat", "Slice", "Expand"}
_ROWS = {"Gather": 0, "EmbedLayerNormalization": 2}  # by operator, the input that a whole number picks rows of
_NORMS = {"InstanceNormalization", "LayerNormalization", "GroupNormalization", "ReduceMean"}
_TIES = {"ArgMax", "ArgMin", "TopK", "NonMaxSuppression", "NonZero", "Unique", "MaxPool"}


def examples(model: ModelProto, whole: int | None = None) -> Feeds:
    """Standard normal numbers; whole numbers below what they index, or 0 and 1; the same in every process.

    Args:
        whole: what all whole numbers are instead.
    """
    return _drawn(model, np.random.default_rng(0), whole)


def taken(model: ModelProto, run: Callable[[Feeds], list[Array]]) -> tuple[Feeds, list[Array], int | None]:
    """Examples that a model takes, with their outputs, and what all whole numbers among them are, if anything.

    What whole numbers mean no model says. Where the drawn ones do not run, those that index a sum of the model's own,
    as a graph's nodes do, may be 0, and those that are lengths 1.

    Raises:
        Exception: what `run` raised first, where it takes none of them.
    """
    refused: Exception | None = None
    for whole in (None, 0, 1) if any(array.dtype.kind in "iu" for array in examples(model).values()) else (None,):
        feeds = examples(model, whole)
        try:
            return feeds, run(feeds), whole
        except InputError:
            raise
        except Exception as error:  # onnxruntime's, which share no narrower base
            refused = refused or error
    assert refused
    raise refused


def draws(model: ModelProto, whole: int | None = None) -> Iterator[Feeds]:
    """The examples and what else an import is checked on: other numbers, larger ones, and zeros.

    Zeros are left out of models that choose among equal values, where more than one answer is right, and of models
    with norms, which make rounding errors large where all is equal.

    Args:
        whole: as of `taken`.
    """
    first = examples(model, whole)
    yield first
    yield {
        name: array * 3 if array.dtype.kind == "f" else array
        for name, array in _drawn(model, np.random.default_rng(1), whole).items()
    }
    if not any(node.op_type in _TIES | _NORMS for node in model.graph.node):
        yield {name: array if _choices(model, name, array) else np.zeros_like(array) for name, array in first.items()}


def _drawn(model: ModelProto, rng: np.random.Generator, whole: int | None) -> Feeds:
    drawn = {value.name: _array(model, value, rng) for value in model.graph.input}
    if whole is None:
        return drawn
    return {name: np.full_like(array, whole) if array.dtype.kind in "iu" else array for name, array in drawn.items()}


def _array(model: ModelProto, value: ValueInfoProto, rng: np.random.Generator) -> Array:
    tensor = value.type.tensor_type
    shape = [dim.dim_value for dim in tensor.shape.dim]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    if dtype.kind == "f" or dtype.kind == "V":
        return np.asarray(rng.standard_normal(shape)).astype(dtype)
    if dtype.kind == "c":
        return np.asarray(rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)
    drawn = np.asarray(rng.integers(0, _below(model, value.name), shape)).astype(dtype)
    choices = _choices(model, value.name, drawn)
    return np.full_like(drawn, rng.choice(choices)) if choices else drawn


def _choices(model: ModelProto, name: str, drawn: Array) -> list[int]:
    """The constants that a single whole number is compared with, as a sampling rate is: others may fit no branch."""
    if drawn.size != 1 or drawn.dtype.kind not in "iu":
        return []
    known = {tensor.name: tensor for tensor in model.graph.initializer}
    known |= {
        node.output[0]: attribute.t
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    names, found = {name}, list[int]()
    for node in model.graph.node:
        if not names & set(node.input):
            continue
        if node.op_type in _SAME or (node.op_type == "Gather" and node.input[0] in names):
            names.update(node.output)
        if node.op_type == "Equal":
            arrays = [onnx.numpy_helper.to_array(known[other]) for other in node.input if other in known]
            found += [int(array.reshape(-1)[0]) for array in arrays if array.size == 1]
    return found


def _below(model: ModelProto, name: str) -> int:
    """The number of rows that a whole number may pick; 2 where it is none that picks."""
    sizes = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    names, least = {name}, 0
    for node in model.graph.node:
        if not names & set(node.input):
            continue
        if node.op_type in _SAME:
            names.update(node.output)
        source = node.input[_ROWS[node.op_type]] if node.op_type in _ROWS else ""
        if source in sizes and node.input[0] not in names:
            axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
            rows = sizes[source][axis]
            least = min(least, rows) if least else rows
    return least or 2
