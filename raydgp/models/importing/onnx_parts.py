"""Which nodes of an ONNX graph run beside TVM, grouped into as few models as the order of the graph allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import GraphProto, ModelProto, NodeProto

RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}

_OUTSIDE = 0  # no object's id: whoever reads the outputs of the model


@dataclass(frozen=True, eq=False)
class Part:
    """Nodes that run as one model beside TVM.

    Attributes:
        nodes: in the order of the graph.
        inputs: tensors that come from elsewhere, initialisers not among them.
        outputs: tensors that are read elsewhere.
    """

    nodes: list[NodeProto]
    inputs: list[str]
    outputs: list[str]


class Graph:
    """Who reads and who makes what in a graph, found once for all parts of it."""

    def __init__(self, model: ModelProto) -> None:
        graph = model.graph
        self.nodes = list(graph.node)  # kept: they are told apart by identity
        self.constants = {tensor.name for tensor in graph.initializer}
        self.makes = {name: node for node in self.nodes for name in node.output if name}
        self.readers: dict[str, set[int]] = {value.name: {_OUTSIDE} for value in graph.output}
        for node in self.nodes:
            for name in read_by(node):
                self.readers.setdefault(name, set()).add(id(node))

    def part(self, nodes: list[NodeProto]) -> Part:
        """Nodes as a part."""
        inside = {id(node) for node in nodes}
        own = {name for node in nodes for name in node.output if name} | self.constants
        reads = dict.fromkeys(name for node in nodes for name in read_by(node))
        outputs = [name for node in nodes for name in node.output if name and self.readers.get(name, set()) - inside]
        return Part(nodes, [name for name in reads if name not in own], outputs or [_first(nodes[-1])])


def _first(node: NodeProto) -> str:
    return next((name for name in node.output if name), "")


def read_by(node: NodeProto) -> Iterator[str]:
    """The tensors that a node reads, those that its subgraphs take from around it among them."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
            yield from _captured(graph)


def _captured(graph: GraphProto) -> Iterator[str]:
    own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    own |= {name for node in graph.node for name in node.output}
    for node in graph.node:
        yield from (name for name in read_by(node) if name not in own)
    yield from (value.name for value in graph.output if value.name not in own)


def in_order(nodes: Sequence[NodeProto]) -> list[NodeProto]:
    """Nodes so that each comes after those that it reads, as far as there is such an order."""
    makes = {name: node for node in nodes for name in node.output if name}
    done: dict[int, NodeProto] = {}
    for first in nodes:
        stack = [(first, False)]
        under_way: set[int] = set()
        while stack:
            node, ready = stack.pop()
            if ready:
                done[id(node)] = node
            elif id(node) not in done and id(node) not in under_way:
                under_way.add(id(node))
                stack.append((node, True))
                stack += [(makes[name], False) for name in read_by(node) if name in makes]
    return list(done.values())


def random_operator(node: NodeProto) -> bool:
    return node.op_type in RANDOM


def parted(model: ModelProto, refused: set[str]) -> list[Part]:
    """The parts of a graph in which some nodes, named by their first outputs, are not for TVM.

    Every node gets a level, the number of changes of runtime before it; the nodes of one level beside TVM are one part,
    which no path leaves and enters again.
    """
    graph, links = model.graph, Graph(model)
    makes = links.makes
    others = {  # sequences and optionals
        value.name for value in graph.value_info if value.type.WhichOneof("value") not in (None, "tensor_type")
    }
    apart = {id(node) for node in graph.node if node.output and _first(node) in refused}
    while True:
        levels: dict[int, int] = {}
        for node in graph.node:
            before = [makes[name] for name in read_by(node) if name in makes]
            change = [levels[id(other)] + ((id(other) in apart) != (id(node) in apart)) for other in before]
            levels[id(node)] = max(change, default=int(id(node) in apart))
        if not (moved := _crossed(graph, makes, apart, levels, others)):
            break
        apart |= moved
    grouped: dict[int, list[NodeProto]] = {}
    for node in graph.node:
        if id(node) in apart:
            grouped.setdefault(levels[id(node)], []).append(node)
    return [links.part(nodes) for _, nodes in sorted(grouped.items())]


def _crossed(
    graph: GraphProto, makes: Mapping[str, NodeProto], apart: set[int], levels: Mapping[int, int], others: set[str]
) -> set[int]:
    """Nodes that must run beside TVM, too, because a sequence or an optional would have to go through it."""
    moved: set[int] = set()
    for node in graph.node:
        for name in read_by(node):
            if name not in others or name not in makes:
                continue
            other = makes[name]
            if id(node) not in apart:
                moved.add(id(node))
            elif levels[id(node)] != levels[id(other)]:
                moved |= {
                    id(makes[read])
                    for read in read_by(node)
                    if read in makes and id(makes[read]) not in apart and levels[id(makes[read])] > levels[id(other)]
                }
    return moved


def model_of(part: Part, model: ModelProto, values: Mapping[str, Any]) -> ModelProto:
    """A part as a model of its own.

    Args:
        values: translated inputs, for their types.
    """
    needed = {name for node in part.nodes for name in read_by(node)}
    types = {value.name: value for value in [*model.graph.value_info, *model.graph.output, *model.graph.input]}
    inputs = [_typed(name, types, values.get(name)) for name in part.inputs]
    outputs = [types.get(name) or onnx.ValueInfoProto(name=name) for name in part.outputs]
    weights = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    graph = onnx.helper.make_graph(part.nodes, "beside", inputs, outputs, weights)
    made = onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    made.functions.extend(model.functions)
    return made


def _typed(name: str, types: Mapping[str, onnx.ValueInfoProto], value: Any) -> onnx.ValueInfoProto:
    if name in types and types[name].type.WhichOneof("value"):
        return types[name]
    dtype = onnx.helper.np_dtype_to_tensor_dtype(onnx.numpy_helper.np.dtype(str(value.ty.dtype)))
    return onnx.helper.make_tensor_value_info(name, dtype, [int(extent) for extent in value.ty.shape])
