"""Batch norm at inference is an affine map by channel: it is folded into the weights of the layer before it.

The fold works on Relax, so that every source of models, torch or ONNX, takes the same path. In inference
`gamma * (x - mean) / sqrt(variance + epsilon) + beta` is `scale * x + shift`; after a convolution or a dense layer with
constant weights, scale goes into the weights, and shift, with what the layer adds itself, becomes its one bias.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from raydgp.errors import InputError
from raydgp.models.constants import fold_plain

Array = np.ndarray[Any, Any]


def fold_batch_norms(module: tvm.IRModule) -> tvm.IRModule:
    """The same Relax module without a batch norm, its constants folded and its dead code gone.

    A norm whose input is not a layer's alone (another reads it too, or a concatenation wrote it) becomes a product and
    a sum by channel, which fuse with what comes next.

    Raises:
        InputError: a batch norm has parameters that are no constants, or takes them from the batch as in training.
    """
    tidy = tvm.transform.Sequential(
        [relax.transform.CanonicalizeBindings(), relax.transform.FoldConstant(), relax.transform.DeadCodeElimination()]
    )
    module = tidy(fold_plain(module))
    for value in relax.analysis.get_var2val(module["main"]).values():
        if _calls(value, "relax.nn.batch_norm"):
            _check(value)
    folder = _Folder(module, module["main"])
    folder.builder_.update_func(module.get_global_var("main"), folder.visit_expr(module["main"]))
    return tidy(folder.builder_.get())


def _check(norm: relax.Call) -> None:
    # Not in the folder: an error that passes through TVM's visitor comes out as a RuntimeError.
    if norm.attrs.training:
        raise InputError("a batch norm is in training mode: call model.eval() before the export")
    if any(_constant(argument) is None for argument in norm.args[1:]):
        raise InputError("a batch norm has parameters that are no constants: make them the model's own weights")


@mutator
class _Folder(PyExprMutator):
    def __init__(self, module: tvm.IRModule, function: relax.Function) -> None:
        super().__init__(module)
        self.values = relax.analysis.get_var2val(function)
        self.reads = {
            read: len(readers)
            for block in function.body.blocks
            if isinstance(block, relax.DataflowBlock)
            for read, readers in relax.analysis.udchain(block).items()
        }

    def visit_tuple_getitem_(self, item: relax.TupleGetItem) -> relax.Expr:
        norm = self.values.get(item.tuple_value)
        if not _calls(norm, "relax.nn.batch_norm") or item.index != 0:
            return super().visit_tuple_getitem_(item)
        # In float64: rounded once, when the weights are.
        gamma, beta, mean, variance = (np.asarray(_constant(argument), np.float64) for argument in norm.args[1:])
        scale = gamma / np.sqrt(variance + norm.attrs.epsilon)
        return self._affine(norm.args[0], scale, beta - mean * scale, int(norm.attrs.axis))

    def _affine(self, x: relax.Expr, scale: Array, shift: Array, axis: int) -> relax.Expr:
        """`scale * x + shift` with both float64[channels] along `axis` of `x`, an expression of the old function."""
        value, rank, dtype = self._own(x), x.ty.ndim, x.ty.dtype
        axis %= rank
        along = [1] * rank
        along[axis] = -1
        if _calls(value, "relax.add"):  # a layer's bias, on either side
            for y, added in (value.args, reversed(value.args)):
                bias = _constant(added)
                layer = self._own(y)
                if (
                    bias is not None
                    and _by_channel(bias, rank, axis)
                    and _scaled_weight(layer, scale, axis) is not None
                ):
                    return self._affine(y, scale, scale * bias.reshape(-1) + shift, axis)
        weight = _scaled_weight(value, scale, axis)
        if weight is None:
            scaled = relax.op.multiply(self.visit_expr(x), relax.const(scale.reshape(along), dtype))
        else:
            scaled = relax.Call(value.op, [self.visit_expr(value.args[0]), weight], value.attrs)
        return relax.op.add(self.builder_.emit(scaled), relax.const(shift.reshape(along), dtype))

    def _own(self, x: relax.Expr) -> Any:
        """What computes a variable that is read once; None for others, whose other readers need them as they are."""
        return self.values.get(x) if self.reads.get(x) == 1 else None


def _calls(value: Any, operator: str) -> bool:
    return isinstance(value, relax.Call) and getattr(value.op, "name", None) == operator


def _constant(value: relax.Expr) -> Array | None:
    return value.value.numpy() if isinstance(value, tvm.ir.GenericConst) else None


def _by_channel(bias: Array, rank: int, axis: int) -> bool:
    """Whether an array that is added to one of this rank is a number for each channel, or one for all."""
    shape = (1,) * (rank - bias.ndim) + bias.shape
    return len(shape) == rank and all(size == 1 for i, size in enumerate(shape) if i != axis)


def _scaled_weight(layer: relax.Expr | None, scale: Array, axis: int) -> tvm.ir.GenericConst | None:
    """The weights of a layer whose output channels, along `axis`, are scaled; None if it is no layer that can be."""
    if layer is None or not isinstance(layer, relax.Call) or len(layer.args) < 2:
        return None
    weight = _constant(layer.args[1])
    if weight is None:
        return None
    dense = _calls(layer, "relax.matmul") and weight.ndim == 2 and axis == layer.ty.ndim - 1
    convolution = any(_calls(layer, f"relax.nn.conv{n}d") for n in (1, 2, 3))
    if convolution and layer.attrs.kernel_layout.startswith("O") and layer.attrs.data_layout[axis] == "C":
        scale = scale.reshape(-1, *[1] * (weight.ndim - 1))
    elif _calls(layer, "relax.nn.conv2d_transpose") and layer.attrs.kernel_layout == "IOHW" and layer.attrs.groups == 1:
        scale = scale.reshape(1, -1, 1, 1)
    elif not dense:
        return None
    return relax.const(weight * scale, str(weight.dtype))
