"""Rewrites a model so that activations stay blocked by channels from layer to layer.

A layer becomes one kernel that its template writes; pooling, sums, activations and concatenation follow on blocked
arrays where they can; whatever else there is sees plain arrays. Weights are blocked here, once, and become parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax, topi

from raydgp.deploy.layers import Layer, constant, find_layers, operator, shape_of
from raydgp.errors import InputError
from raydgp.kernels.epilogue import pack_bias
from raydgp.kernels.registry import template_for
from raydgp.kernels.template import LayerTemplate
from raydgp.space import config_space
from raydgp.space.registers import whole_vectors
from raydgp.workloads import Conv2d, Dense, DepthwiseConv2d, Fused

Array = NDArray[np.float32]
Choose = Callable[[Fused], tuple[Fused, dict[str, Any]]]

_BLOCKS = (32, 16, 8)  # of channels, the widest that fits: two registers of output side by side
_OPAQUE = 8  # TVM's code of a function that nothing is fused into
_UNARY = {"nn.relu", "clip", "sigmoid", "tanh", "nn.silu", "nn.gelu", "exp", "negative"}
_BINARY = {"add", "subtract", "multiply", "divide", "maximum", "minimum"}
_POOLS = {"nn.max_pool2d": "max", "nn.avg_pool2d": "avg"}


@dataclass
class Packed:
    """A model with its layers told apart.

    Attributes:
        module: function `main` takes the model's inputs, then the parameters; a layer is a call of a function of its
            own, without a schedule.
        layers: name of that function -> workload.
        parameters: blocked weights and biases, in the order of `main`'s parameters.
    """

    module: tvm.IRModule
    layers: dict[str, Fused]
    parameters: list[Array]


@dataclass
class _Value:
    """A tensor of the model in the layouts it has been needed in. Blocked is [n, outer, h, w, block]."""

    shape: tuple[int, ...]
    plain: relax.Expr | None = None
    blocked: relax.Expr | None = None
    block: int = 0

    @property
    def whole(self) -> bool:
        """Whether no block holds a channel that the tensor has not."""
        return self.block > 0 and self.shape[1] % self.block == 0


def pack(module: tvm.IRModule, choose: Choose | None = None) -> Packed:
    """Rewrites `main`, whose weights are constants.

    Args:
        choose: of a layer, computed directly, the algorithm and the configuration that it gets, which its weights'
            layout depends on; the same with the default's configuration where it is None.

    Raises:
        InputError: `main` is not one block of calls on tensors of fixed shapes.
    """
    function = module["main"]
    if len(function.body.blocks) != 1:
        raise InputError("the model has control flow, which cannot be tuned; export it without")
    return _Packer(function, choose or _default).run()


def _default(workload: Fused) -> tuple[Fused, dict[str, Any]]:
    space = config_space(workload, "llvm")
    return workload, space.decode(space.default)


@dataclass
class _Packer:
    function: relax.Function
    choose: Choose
    builder: relax.BlockBuilder = field(default_factory=relax.BlockBuilder)
    values: dict[relax.Var, _Value] = field(default_factory=dict)
    functions: dict[Fused, relax.GlobalVar] = field(default_factory=dict)
    parameters: list[tuple[relax.Var, Array]] = field(default_factory=list)

    def run(self) -> Packed:
        (block,) = self.function.body.blocks
        result = self.function.body.body
        outputs = set(result.fields) if isinstance(result, relax.Tuple) else {result}
        layers = find_layers(block.bindings, outputs)
        by_output = {layer.output: layer for layer in layers}
        within = {var for layer in layers for var in layer.calls[:-1]}
        inputs = list(self.function.params)
        for var in inputs:
            self.values[var] = _Value(shape_of(var), plain=var)
        with self.builder.function("main"):
            with self.builder.dataflow():
                for binding in block.bindings:
                    if binding.var in by_output:
                        self.values[binding.var] = self._layer(by_output[binding.var])
                    elif binding.var not in within:
                        self.values[binding.var] = self._other(binding.value)
                out = self.builder.emit_output(self._substituted(result))
            self.builder.emit_func_output(out, [*inputs, *(var for var, _ in self.parameters)])
        module = self.builder.finalize()
        module["main"] = module["main"].with_attr("num_input", len(inputs))
        names = {var.name_hint: workload for workload, var in self.functions.items()}
        return Packed(module, names, [array for _, array in self.parameters])

    # --- layers

    def _layer(self, layer: Layer) -> _Value:
        direct, data = self._blocked_layer(layer)
        workload, knobs = self.choose(direct)
        template = cast(LayerTemplate, template_for(config_space(workload, "llvm")))
        out_shape = template.out_shape(workload, knobs)
        weight = template.pack_weight(workload, knobs, layer.weight)
        outer, block = out_shape[1], out_shape[-1]
        arrays = [
            self._parameter(pack_bias(array, outer, block))
            if isinstance(array, np.ndarray)
            else self._added(array, workload, out_shape)
            for array in layer.arrays
        ]
        if workload not in self.functions:
            function = template.compute(workload, knobs).without_attr("global_symbol").with_attr("op_pattern", _OPAQUE)
            self.functions[workload] = self.builder.add_func(function, _name(workload))
        called = self.functions[workload]
        arguments = [data, self._parameter(weight), *arrays]
        out = self.builder.emit(relax.call_tir(called, arguments, relax.TensorType(out_shape, "float32")))
        shape = shape_of(layer.output)
        if isinstance(layer.anchor, Dense):
            return _Value(shape, plain=self._rows(out, workload, shape))
        return _Value(shape, blocked=out, block=block)

    def _blocked_layer(self, layer: Layer) -> tuple[Fused, relax.Expr]:
        """The layer's workload and its data as it reads them."""
        anchor, value, steps = layer.anchor, self.values[layer.data], tuple(layer.steps)
        if isinstance(anchor, Dense):
            blocks = config_space(anchor, "llvm")
            block_out = int(np.prod(blocks.decode(blocks.default)["tile_m"][1:]))
            data = self._plain(value)
            if len(value.shape) != 2:
                data = self.builder.emit(relax.op.reshape(data, (anchor.n, anchor.k)))
            return Fused(anchor=anchor, epilogue=steps, block_out=block_out), data
        channels = value.shape[1] if isinstance(anchor, DepthwiseConv2d) else anchor.co
        block_out = next(
            b for b in (*_BLOCKS, *range(whole_vectors(channels), 0, -1)) if whole_vectors(channels) % b == 0
        )
        if isinstance(anchor, DepthwiseConv2d):
            block_in = block_out
        elif value.whole and value.block > 1:
            block_in = value.block
        else:
            block_in = next((b for b in _BLOCKS if anchor.ci % b == 0), 1)
        data = self._plain(value) if block_in == 1 else self._blocked(value, block_in)
        return Fused(anchor=anchor, epilogue=steps, block_in=block_in, block_out=block_out), data

    def _added(self, var: relax.Var, workload: Fused, out_shape: tuple[int, ...]) -> relax.Expr:
        """A residual in the output's layout."""
        value = self.values[var]
        if isinstance(workload.anchor, Dense):
            n, m = workload.anchor.n, workload.channels
            rows = self.builder.emit(relax.op.reshape(self._plain(value), (n, m)))
            if missing := out_shape[1] * out_shape[2] - m:
                rows = self.builder.emit(relax.op.nn.pad(rows, [0, 0, 0, missing]))
            return self.builder.emit(relax.op.reshape(rows, out_shape))
        return self._blocked(value, out_shape[-1])

    def _rows(self, out: relax.Expr, workload: Fused, shape: tuple[int, ...]) -> relax.Expr:
        """[n, outer, block] of a dense layer as the model's shape."""
        n, m = workload.anchor.n, workload.channels
        stored = int(np.prod(shape_of(out)[1:]))
        rows = self.builder.emit(relax.op.reshape(out, (n, stored)))
        if stored != m:
            rows = self.builder.emit(relax.op.strided_slice(rows, [1], [0], [m]))
        return rows if shape == (n, m) else self.builder.emit(relax.op.reshape(rows, shape))

    def _parameter(self, array: Array) -> relax.Var:
        var = relax.Var(f"p{len(self.parameters)}", relax.TensorType(array.shape, str(array.dtype)))
        self.parameters.append((var, np.ascontiguousarray(array)))
        return var

    # --- everything else

    def _other(self, call: relax.Expr) -> _Value:
        """A call that is no layer: on blocked arrays where that is simple, else on plain ones."""
        value = self._on_blocks(call) if operator(call) else None
        if value is None:
            plain = self.builder.emit(self._substituted(call))
            return _Value(shape_of(plain) if isinstance(plain.ty, relax.TensorType) else (), plain=plain)
        return value

    def _on_blocks(self, call: relax.Call) -> _Value | None:
        name, emit = operator(call), self.builder.emit
        read = call.args[0].fields if name == "concat" else [a for a in call.args if isinstance(a, relax.Var)]
        values = [self.values[var] for var in read if isinstance(var, relax.Var)]
        block = values[0].block if values else 0
        if not block or any(v.blocked is None or v.block != block for v in values):
            return None
        (x, *_), shape = [v.blocked for v in values], shape_of(call)
        if name in _UNARY:
            return _Value(shape, blocked=emit(relax.Call(call.op, [x, *call.args[1:]], call.attrs)), block=block)
        if name in _BINARY:
            sides = [self._side(a, block, shape) for a in call.args]
            blocked = None if None in sides else emit(relax.Call(call.op, sides, call.attrs))
            return _Value(shape, blocked=blocked, block=block) if blocked is not None else None
        if name == "concat" and int(call.attrs.axis) == 1 and all(v.whole for v in values) and len(values) == len(read):
            return _Value(shape, blocked=emit(relax.op.concat([v.blocked for v in values], 1)), block=block)
        if name in _POOLS and call.attrs.layout == "NCHW":
            return _Value(shape, blocked=self._pool(call, x, block), block=block)
        if name == "nn.adaptive_avg_pool2d" and shape == values[0].shape:
            return values[0]
        axes = sorted(int(a) % 4 for a in call.attrs.axis) if name == "mean" and call.attrs.axis else []
        if (axes == [2, 3] and call.attrs.keepdims) or (name == "nn.adaptive_avg_pool2d" and shape[2:] == (1, 1)):
            return _Value(shape, blocked=emit(relax.op.mean(x, [2, 3], True)), block=block)
        return None

    def _side(self, argument: relax.Expr, block: int, shape: tuple[int, ...]) -> relax.Expr | None:
        """An operand of an elementwise call as it meets a blocked one; None where it cannot."""
        array = constant(argument)
        if array is None:
            value = self.values[argument]
            return value.blocked if value.shape == shape else None
        if array.size == 1:
            return relax.const(array.reshape(()))
        whole = array.shape == (1, shape[1], 1, 1) and shape[1] % block == 0
        return relax.const(array.reshape(1, -1, 1, 1, block)) if whole else None

    def _pool(self, call: relax.Call, x: relax.Expr, block: int) -> relax.Expr:
        attrs, pairs = call.attrs, ("pool_size", "strides", "dilation", "padding")
        kernel, stride, dilation, padding = (tuple(int(v) for v in getattr(attrs, key)) for key in pairs)
        options = {"ceil_mode": bool(attrs.ceil_mode), "layout": f"NCHW{block}c"}
        if "avg" in operator(call):
            options["count_include_pad"] = bool(attrs.count_include_pad)
        kind = _POOLS[operator(call)]
        return self.builder.emit_te(topi.nn.pool2d, x, kernel, stride, dilation, padding, kind, **options)

    def _substituted(self, expr: Any) -> Any:
        """The expression on this function's plain arrays."""
        if isinstance(expr, relax.Var):
            return self._plain(self.values[expr])
        if isinstance(expr, relax.Tuple):
            return relax.Tuple([self._substituted(part) for part in expr.fields])
        if isinstance(expr, relax.TupleGetItem):
            return relax.TupleGetItem(self._substituted(expr.tuple_value), expr.index)
        if isinstance(expr, relax.Call):
            return relax.Call(expr.op, [self._substituted(a) for a in expr.args], expr.attrs, expr.ty_args)
        return expr

    def _plain(self, value: _Value) -> relax.Expr:
        if value.plain is None:
            n, c, h, w = value.shape
            x, emit = value.blocked, self.builder.emit
            if h * w > 1:
                x = emit(relax.op.permute_dims(x, [0, 1, 4, 2, 3]))
            outer = -(-c // value.block)
            x = emit(relax.op.reshape(x, (n, outer * value.block, h, w)))
            value.plain = x if value.whole else emit(relax.op.strided_slice(x, [1], [0], [c]))
        return value.plain

    def _blocked(self, value: _Value, block: int) -> relax.Expr:
        """Blocked as wanted; kept where it is the first blocking the tensor has."""
        if value.block == block:
            return value.blocked
        n, c, h, w = value.shape
        x, emit, missing = self._plain(value), self.builder.emit, -c % block
        if missing:
            x = emit(relax.op.nn.pad(x, [0, 0, 0, missing, 0, 0, 0, 0]))
        x = emit(relax.op.reshape(x, (n, (c + missing) // block, block, h, w)))
        x = emit(relax.op.permute_dims(x, [0, 1, 3, 4, 2]))
        if value.blocked is None:
            value.blocked, value.block = x, block
        return x


def _name(workload: Fused) -> str:
    """What people know a layer by: kernel, channels in and out, rows of the output; the builder tells twins apart."""
    anchor = workload.anchor
    match anchor:
        case Conv2d():
            how = "" if workload.algorithm == "direct" else f"_{workload.algorithm}"
            return f"conv{anchor.kh}x{anchor.kw}_{anchor.ci}_{anchor.co}_{anchor.oh}{how}"
        case DepthwiseConv2d():
            return f"depthwise{anchor.kh}x{anchor.kw}_{anchor.ci}_{anchor.oh}"
    return f"dense_{anchor.k}_{anchor.m}"
