"""Which operators of an ONNX graph TVM computes wrongly: each one alone, on what the reference gives it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from raydgp.models import beside
from raydgp.models.accuracy import difference
from raydgp.models.importing.checking import runnable
from raydgp.models.importing.onnx_graph import translate
from raydgp.models.importing.onnx_parts import Graph, model_of
from raydgp.models.importing.onnx_running import Reference, outputs_of
from raydgp.models.refusal import last_line

Array = NDArray[Any]


def faults(model: ModelProto, feeds: Mapping[str, Array], refused: Collection[str]) -> dict[str, str]:
    """What is wrong with nodes, by their first outputs, in the order of the graph.

    Args:
        model: simplified, its shapes inferred.
        feeds: its inputs.
        refused: nodes that are not translated anyway.
    """
    names = [name for node in model.graph.node for name in node.output if name]
    values = dict(zip(names, Reference(outputs_of(model, names))(feeds), strict=True)) | dict(feeds)
    found: dict[str, str] = {}
    graph = Graph(model)
    for node in model.graph.node:
        first = next((name for name in node.output if name), "")
        if first in refused or not first:
            continue
        part = graph.part([node])
        inputs, outputs = ([values[name] for name in names] for names in (part.inputs, part.outputs))
        if reason := _wrong(model_of(part, model, {}), inputs, outputs):
            found[first] = f"{node.op_type} {first}: {reason}"
    return found


def _wrong(alone: ModelProto, inputs: list[Array], expected: list[Array]) -> str | None:
    try:
        translated = translate(alone, {})
        if translated.refused:
            return None
        beside.register(translated.beside)
        return difference(runnable(translated.module)([np.asarray(array) for array in inputs]), expected)
    except Exception as error:  # TVM's, whatever it is
        return last_line(error)
