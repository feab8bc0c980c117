"""Rewrites a model so that a layer is one kernel that its template writes.

Where the templates are for blocked arrays, activations stay blocked by channels from layer to layer; pooling, sums,
activations and concatenation follow on blocked arrays where they can; whatever else there is sees plain arrays. Where
they are for plain arrays, as on a GPU, all are plain. Weights are laid out here, once, and become parameters.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax

from raydgp.errors import InputError
from raydgp.models.activations import Activations, Value
from raydgp.models.layers import Layer, find_layers
from raydgp.models.relax_reading import shape_of
from raydgp.targets import Target
from raydgp.templates.base import LayerTemplate
from raydgp.templates.registry import entry_for, template_for
from raydgp.templates.spaces import config_space, serves_layers
from raydgp.workloads import Dense, Fused

Array = NDArray[np.float32]
Choose = Callable[[Fused], tuple[Fused, dict[str, Any]]]

OPAQUE = 8  # TVM's code of a function that nothing is fused into


@dataclass
class PackedModel:
    """A model with its layers told apart.

    Attributes:
        module: function `main` takes the model's inputs, then the parameters; a layer is a call of a function of its
            own, without a schedule.
        layers: name of that function -> workload.
        parameters: weights and biases as the kernels read them, in the order of `main`'s parameters.
    """

    module: tvm.IRModule
    layers: dict[str, Fused]
    parameters: list[Array]


def pack(module: tvm.IRModule, target: Target, choose: Choose | None = None) -> PackedModel:
    """Rewrites `main`, whose weights are constants.

    Args:
        target: what it is for.
        choose: of a layer, computed directly, the algorithm and the configuration that it gets, which its weights'
            layout depends on; the same with the default's configuration where it is None.

    Raises:
        InputError: `main` is not one block of calls on tensors of fixed shapes.
    """
    function = module["main"]
    if len(function.body.blocks) != 1:
        raise InputError("the model has control flow, which cannot be tuned; export it without")

    def default(workload: Fused) -> tuple[Fused, dict[str, Any]]:
        space = config_space(workload, target)
        return workload, space.decode(space.default)

    return _Packer(module, target, choose or default).run()


@dataclass
class _Packer:
    module: tvm.IRModule
    target: Target
    choose: Choose
    activations: Activations = field(default_factory=Activations)
    functions: dict[Fused, relax.GlobalVar] = field(default_factory=dict)
    parameters: list[tuple[relax.Var, Array]] = field(default_factory=list)
    known: dict[Any, relax.Var] = field(default_factory=dict)  # parameters by their content

    @property
    def builder(self) -> relax.BlockBuilder:
        return self.activations.builder

    def run(self) -> PackedModel:
        function = self.module["main"]
        (block,) = function.body.blocks
        result = function.body.body
        for name, other_function in self.module.functions_items():
            if name.name_hint != "main":  # what the importer wrote as loops itself
                self.activations.functions[name] = self.builder.add_func(other_function, name.name_hint)
        outputs = set(result.fields) if isinstance(result, relax.Tuple) else {result}
        layers = find_layers(block.bindings, outputs, lambda anchor: serves_layers(anchor, self.target))
        values, other = self.activations.values, self.activations.other
        by_output = {layer.output: layer for layer in layers}
        self.activations.calls.update({binding.var: binding.value for binding in block.bindings})
        within = {var for layer in layers for var in layer.calls[:-1]}
        inputs = list(function.params)
        for var in inputs:
            values[var] = Value(shape_of(var), plain=var)
        with self.builder.function("main"):
            with self.builder.dataflow():
                for binding in block.bindings:
                    if binding.var in by_output:
                        values[binding.var] = self._layer(by_output[binding.var])
                    elif binding.var not in within:
                        values[binding.var] = other(binding.value)
                out = self.builder.emit_output(self.activations.substituted(result))
            self.builder.emit_func_output(out, [*inputs, *(var for var, _ in self.parameters)])
        module = relax.transform.DeadCodeElimination()(self.builder.finalize())  # steps that blocks made needless
        module["main"] = module["main"].with_attr("num_input", len(inputs))
        names = {var.name_hint: workload for workload, var in self.functions.items()}
        return PackedModel(module, names, [array for _, array in self.parameters])

    def _layer(self, layer: Layer) -> Value:
        direct, data = self._laid_out(layer)
        workload, knobs = self.choose(direct)
        template = cast(LayerTemplate, template_for(config_space(workload, self.target)))
        out_shape = template.out_shape(workload, knobs)
        weight = template.pack_weight(workload, knobs, layer.weight)
        arrays = [
            self._parameter(template.pack_bias(workload, knobs, array))
            if isinstance(array, np.ndarray)
            else self._added(array, workload, out_shape)
            for array in layer.arrays
        ]
        if workload not in self.functions:
            function = template.compute(workload, knobs).without_attr("global_symbol").with_attr("op_pattern", OPAQUE)
            self.functions[workload] = self.builder.add_func(function, workload.label)
        called = self.functions[workload]
        arguments = [data, self._parameter(weight), *arrays]
        out = self.builder.emit(relax.call_tir(called, arguments, relax.TensorType(out_shape, "float32")))
        shape = shape_of(layer.output)
        if isinstance(layer.anchor, Dense):
            return Value(shape, plain=self._rows(out, workload, shape))
        return Value(shape, plain=out) if out_shape == shape else Value(shape, blocked=out, block=out_shape[-1])

    def _laid_out(self, layer: Layer) -> tuple[Fused, relax.Expr]:
        """The layer's workload and its data as it reads them."""
        anchor, value = layer.anchor, self.activations.values[layer.data]
        entry = entry_for(self.target.kind, type(anchor))
        blocks = entry.layers.blocks if entry and entry.layers else None
        given = value.block if value.block > 1 and (value.whole or value.finite) else 1
        block_in, block_out = blocks(anchor, given, self.target) if blocks else (1, 1)
        plain = isinstance(anchor, Dense) or block_in == 1
        data = self.activations.plain(value) if plain else self.activations.blocked(value, block_in)
        if isinstance(anchor, Dense):
            data = self._reshaped(data, (anchor.n, anchor.k))
        return Fused(anchor=anchor, epilogue=tuple(layer.steps), block_in=block_in, block_out=block_out), data

    def _added(self, var: relax.Var, workload: Fused, out_shape: tuple[int, ...]) -> relax.Expr:
        """A residual in the output's layout."""
        value = self.activations.values[var]
        if not isinstance(workload.anchor, Dense):
            plain = out_shape == value.shape
            return self.activations.plain(value) if plain else self.activations.blocked(value, out_shape[-1])
        n, m = workload.anchor.n, workload.channels
        rows = self._reshaped(self.activations.plain(value), (n, m))
        if missing := math.prod(out_shape[1:]) - m:
            rows = self.builder.emit(relax.op.nn.pad(rows, [0, 0, 0, missing]))
        return self._reshaped(rows, out_shape)

    def _rows(self, out: relax.Expr, workload: Fused, shape: tuple[int, ...]) -> relax.Expr:
        """[n, outer, block] or [n, m] of a dense layer as the model's shape."""
        n, m = workload.anchor.n, workload.channels
        stored = math.prod(shape_of(out)[1:])
        rows = self._reshaped(out, (n, stored))
        if stored != m:
            rows = self.builder.emit(relax.op.strided_slice(rows, [1], [0], [m]))
        return self._reshaped(rows, shape)

    def _reshaped(self, x: relax.Expr, shape: tuple[int, ...]) -> relax.Expr:
        return x if shape_of(x) == shape else self.builder.emit(relax.op.reshape(x, shape))

    def _parameter(self, array: Array) -> relax.Var:
        """A parameter with this content, the one that there is if there is one."""
        array = np.ascontiguousarray(array)
        content = (array.shape, str(array.dtype), hashlib.sha256(array.data).digest())
        if content in self.known:
            return self.known[content]
        var = self.known[content] = relax.Var(
            f"p{len(self.parameters)}", relax.TensorType(array.shape, str(array.dtype))
        )
        self.parameters.append((var, array))
        return var
