"""Operators on constants computed by numpy: TVM would compile each of them, the longest part of an import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from raydgp.models.relax_reading import operator, shape_of

Array = NDArray[Any]

_RESHAPED = {"reshape", "expand_dims", "squeeze", "flatten"}
_OF_FLOATS: dict[str, Callable[..., Any]] = {  # whole numbers are divided and overflow in other ways
    **{name: getattr(np, name) for name in ("add", "subtract", "multiply", "divide", "power", "maximum", "minimum")},
    **{name: getattr(np, name) for name in ("negative", "abs", "exp", "log", "sqrt")},
}


def fold_plain(module: tvm.IRModule) -> tvm.IRModule:
    """A module whose `main` computes nothing plain of constants any more; what is not plain stays for TVM."""
    folder = _Folder(module)
    folder.builder_.update_func(module.get_global_var("main"), folder.visit_expr(module["main"]))
    return folder.builder_.get()


@mutator
class _Folder(PyExprMutator):
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = super().visit_call_(call)
        name = operator(call)
        if name not in _RESHAPED | _OF_FLOATS.keys() | _OTHERS.keys():
            return call
        arrays = [self._known(argument) for argument in call.args if not isinstance(argument, relax.ShapeExpr)]
        if any(array is None for array in arrays):
            return call
        if name in _OF_FLOATS and any(array.dtype.kind != "f" for array in arrays):
            return call
        with np.errstate(all="ignore"):  # infinities are numbers, too
            return _constant(name, call, arrays)

    def _known(self, value: relax.Expr) -> Any:
        """The array of a constant, arrays of a tuple of them; None where it is none."""
        if isinstance(value, relax.Var):
            value = self.lookup_binding(value)
        if isinstance(value, relax.Tuple):
            parts = [self._known(part) for part in value.fields]
            return None if any(part is None for part in parts) else parts
        return value.value.numpy() if isinstance(value, tvm.ir.GenericConst) else None


def _constant(name: str, call: relax.Call, arrays: list[Any]) -> relax.Expr:
    if name in _RESHAPED:
        made = arrays[0].reshape(shape_of(call))
    else:
        made = _OF_FLOATS[name](*arrays) if name in _OF_FLOATS else _OTHERS[name](call, *arrays)
    return relax.const(np.ascontiguousarray(made).reshape(shape_of(call)), str(call.ty.dtype))


_OTHERS: dict[str, Callable[..., Any]] = {
    "permute_dims": lambda call, x: np.transpose(x, call.attrs.axes and [int(axis) for axis in call.attrs.axes]),
    "broadcast_to": lambda call, x: np.broadcast_to(x, shape_of(call)),
    "isnan": lambda _, x: np.isnan(x),
    "where": lambda _, *arrays: np.where(*arrays),
}
