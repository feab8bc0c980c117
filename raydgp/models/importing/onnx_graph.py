"""An ONNX graph translated to Relax node by node; what cannot be translated is called beside.

TVM's own importer does what it does right; `raydgp.models.onnx_operators` does the rest.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import tvm
from onnx import GraphProto, ModelProto, NodeProto, TypeProto
from tvm import relax
from tvm.relax.frontend.onnx.onnx_frontend import ONNXGraphImporter, _get_convert_map, onnx_input

from raydgp.models import beside
from raydgp.models.importing.onnx_parts import Graph, Part, model_of, parted, random_operator, read_by
from raydgp.models.importing.onnx_running import Reference, branches, unsized
from raydgp.models.onnx_operators.base import CONVERTERS, Operation, Unsupported
from raydgp.models.onnx_operators.registration import CONTRIBUTED, DISTRUSTED
from raydgp.models.refusal import last_line


@dataclass
class Translated:
    """A graph in Relax.

    Attributes:
        module: its `main` takes the inputs alone.
        beside: ONNX models that it calls, by the name of the function.
        refused: of each node that is not translated, by its first output, the reason.
        parts: the nodes of each model beside, by the name of its function.
    """

    module: tvm.IRModule
    beside: dict[str, bytes]
    refused: dict[str, str]
    parts: dict[str, Part] = field(default_factory=dict)


def translate(model: ModelProto, refused: Mapping[str, str]) -> Translated:
    """Translates a model whose shapes are inferred.

    Args:
        refused: reasons, by first output, of nodes that are not to be translated.
    """
    refused = dict(refused)
    while True:
        parts = parted(model, set(refused))
        translation = _Translation(model, parts)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it prints what fails
            warnings.simplefilter("ignore")
            module = translation.run()
        if not translation.refused:
            return Translated(module, translation.beside, refused, translation.parts)
        refused |= translation.refused  # called by itself where it stood; once more, so that neighbours become one part


class _Translation(ONNXGraphImporter):
    _nodes: dict[str, Any]

    def __init__(self, model: ModelProto, parts: list[Part]) -> None:
        super().__init__({}, "float32", keep_params_in_input=False, sanitize=True)
        self.model = model
        self.opsets = {opset.domain or "": opset.version for opset in model.opset_import}
        self.opsets[""] = self.opsets.get("", self.opsets.get("ai.onnx", 1))
        graph = model.graph
        self.types = {value.name: value.type for value in [*graph.value_info, *graph.output, *graph.input]}
        self.links = Graph(model)
        self.order = _ordered(graph, parts)
        self.beside: dict[str, bytes] = {}
        self.parts: dict[str, Part] = {}
        self.refused: dict[str, str] = {}

    def run(self) -> tvm.IRModule:
        shell = GraphProto()  # the nodes are ours to walk; an If among them would change how TVM opens the function
        shell.initializer.extend(self.model.graph.initializer)
        shell.input.extend(self.model.graph.input)
        shell.output.extend(self.model.graph.output)
        return self.from_onnx(shell, self.opsets[""])

    def _check_for_unsupported_ops(self, graph: GraphProto) -> None:
        """Each node is tried."""

    def _parse_array(self, tensor_proto: onnx.TensorProto) -> Any:
        return tvm.runtime.tensor(np.array(onnx.numpy_helper.to_array(tensor_proto)))

    def _construct_nodes(self, graph: GraphProto) -> None:
        for sparse in self.model.graph.sparse_initializer:
            raise Unsupported(f"sparse initializer {sparse.values.name!r}")
        for item in self.order:
            if isinstance(item, Part):
                self._call_beside(item)
                continue
            try:
                self._take(item)
            except Exception as error:  # whatever TVM raises: this node is not for it
                self.refused[_key(item)] = _reason(error)
                self._call_beside(self.links.part([item]))

    def _take(self, node: NodeProto) -> None:
        """Translates a node."""
        results = self._branch(node) if node.op_type == "If" else self._converted(node)
        self._check(node, results)
        self._nodes.update({name: result for name, result in zip(node.output, results, strict=False) if name})

    def _branch(self, node: NodeProto) -> list[Any]:
        """The branch of an `If` whose condition is known, taken into the graph around it."""
        condition = self._nodes[node.input[0]]
        if not isinstance(condition, tvm.ir.GenericConst):
            raise Unsupported("its condition is computed")
        wanted = "then_branch" if condition.value.numpy().reshape(-1)[0] else "else_branch"
        graph = next(attribute.g for attribute in node.attribute if attribute.name == wanted)
        around = dict(self._nodes)
        try:
            self._parse_graph_initializers(graph)
            for inner in graph.node:
                self._take(inner)
            return [self._nodes[value.name] for value in graph.output]
        finally:
            self._nodes = around

    def _converted(self, node: NodeProto) -> list[Any]:
        inputs = onnx_input(self._nodes[name] if name else None for name in node.input)
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        for value in inputs:
            if value is not None and (not isinstance(value.ty, relax.TensorType) or not _is_static(value)):
                raise Unsupported("an input has no fixed shape")
        domain = "" if node.domain == "ai.onnx" else node.domain
        if self._folds(node, inputs):
            return self._folded(node)
        plain = {name: value.decode() if isinstance(value, bytes) else value for name, value in attributes.items()}
        opset = self.opsets.get(domain, 1)
        operation = Operation(self.bb, node.op_type, opset, plain, inputs, len(node.output))
        if converter := CONVERTERS.get((domain, node.op_type)):
            result = converter(operation)
        elif node.op_type not in _get_convert_map() or (domain and node.op_type not in CONTRIBUTED):
            raise Unsupported(f"TVM has no operator {node.op_type}")
        elif node.op_type in DISTRUSTED and DISTRUSTED[node.op_type](operation):
            raise Unsupported(f"TVM's {node.op_type} is another")
        else:
            attributes["tvm_custom"] = {"name": node.name, "num_outputs": len(node.output)}
            result = self._convert_operator(node.op_type, inputs, attributes, opset)
        return self._flat(result)

    def _flat(self, result: Any) -> list[Any]:
        if isinstance(result, list | tuple):
            return [self.bb.normalize(part) for part in result]
        if isinstance(result, relax.Tuple):
            return [self.bb.normalize(part) for part in result.fields]
        result = self.bb.normalize(result)
        if isinstance(result.ty, relax.TupleType):
            bound = self.bb.emit(result)
            return [self.bb.emit(relax.TupleGetItem(bound, place)) for place in range(len(result.ty.fields))]
        return [result]

    def _folds(self, node: NodeProto, inputs: Any) -> bool:
        known = all(value is None or isinstance(value, tvm.ir.GenericConst) for value in inputs)
        return known and not branches(node) and not random_operator(node)

    def _folded(self, node: NodeProto) -> list[Any]:
        """What a node of constants gives."""
        names = [name for name in dict.fromkeys(node.input) if name]
        feeds = {name: self._nodes[name].value.numpy() for name in names}
        ends = [
            onnx.helper.make_tensor_value_info(
                name, onnx.helper.np_dtype_to_tensor_dtype(feeds[name].dtype), feeds[name].shape
            )
            for name in names
        ]
        outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
        graph = onnx.helper.make_graph([node], "folded", ends, outputs)
        model = onnx.helper.make_model(graph, opset_imports=self.model.opset_import, ir_version=self.model.ir_version)
        arrays = iter(Reference(model)(feeds))
        return [relax.const(tvm.runtime.tensor(next(arrays))) if name else None for name in node.output]

    def _check(self, node: NodeProto, results: list[Any]) -> None:
        """Whether TVM's idea of the outputs is ONNX's: shapes are often the first sign of another meaning."""
        wanted = [name for name in node.output if name]
        if len(results) < len(wanted):
            raise Unsupported(f"{len(results)} of {len(wanted)} outputs")
        for name, result in zip(node.output, results, strict=False):
            if not name:
                continue
            if not isinstance(result.ty, relax.TensorType) or not _is_static(result):
                raise Unsupported("its output has no fixed shape")
            shape, dtype = _declared(self.types.get(name))
            ours = tuple(int(extent) for extent in result.ty.shape)
            if shape is not None and None not in shape and ours != shape:
                raise Unsupported(f"shape {ours} instead of {shape}")
            if dtype is not None and str(result.ty.dtype) != dtype:
                raise Unsupported(f"{result.ty.dtype} instead of {dtype}")

    def _call_beside(self, part: Part) -> None:
        model = model_of(part, self.model, {name: self._nodes[name] for name in part.inputs})
        data = unsized(model).SerializeToString()
        name = beside.name_of(data)
        self.beside[name], self.parts[name] = data, part
        types = [self._type(output) for output in part.outputs]
        arguments = [self._nodes[tensor] for tensor in part.inputs]
        whole = types[0] if len(types) == 1 else relax.TupleType(types)
        call = self.bb.emit(relax.op.call_pure_packed(name, *arguments, ty_args=[whole]))
        for place, output in enumerate(part.outputs):
            self._nodes[output] = call if len(types) == 1 else self.bb.emit(relax.TupleGetItem(call, place))

    def _type(self, name: str) -> relax.TensorType:
        shape, dtype = _declared(self.types.get(name))
        if dtype is None:
            raise Unsupported(f"{name} has no type that is known")
        if shape is None:
            return relax.TensorType(dtype=dtype, ndim=-1)
        return relax.TensorType(dtype=dtype, ndim=len(shape)) if None in shape else relax.TensorType(shape, dtype)


def _key(node: NodeProto) -> str:
    return next((name for name in node.output if name), "")


def _reason(error: Exception) -> str:
    return last_line(error) if isinstance(error, Unsupported) else f"{type(error).__name__}: {last_line(error)}"


def _is_static(value: relax.Expr) -> bool:
    shape = value.ty.shape
    return shape is not None and all(isinstance(extent, int | tvm.tirx.IntImm) for extent in shape)


def _declared(kind: TypeProto | None) -> tuple[tuple[int | None, ...] | None, str | None]:
    """Shape, None for what is not known, and TVM's name of the type."""
    if kind is None or not kind.HasField("tensor_type") or not kind.tensor_type.elem_type:
        return None, None
    tensor = kind.tensor_type
    dtype = str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    if not tensor.HasField("shape"):
        return None, dtype
    return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim), dtype


def _ordered(graph: GraphProto, parts: Collection[Part]) -> list[Any]:
    """Nodes and parts so that each comes after what it reads."""
    part_of = {id(node): part for part in parts for node in part.nodes}
    items: list[Any] = list({id(item): item for node in graph.node for item in [part_of.get(id(node), node)]}.values())
    makes = {name: item for item in items for name in (item.outputs if isinstance(item, Part) else item.output) if name}
    done: set[int] = set()
    ordered: list[Any] = []
    for first in items:
        stack = [(first, False)]
        while stack:
            item, ready = stack.pop()
            if id(item) in done:
                continue
            if ready:
                done.add(id(item))
                ordered.append(item)
                continue
            stack.append((item, True))
            reads = item.inputs if isinstance(item, Part) else list(read_by(item))
            stack += [(makes[name], False) for name in reads if name in makes and id(makes[name]) not in done]
    return ordered
