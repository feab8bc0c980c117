"""What a converter is given, and where converters are registered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray
from onnx import TensorProto
from onnx.helper import tensor_dtype_to_np_dtype
from tvm import relax

Array = NDArray[Any]


class Unsupported(Exception):
    """A signal: this form of the operator is not translated, and runs beside TVM."""


@dataclass(frozen=True)
class Operation:
    """A node of an ONNX graph whose inputs are translated.

    Attributes:
        builder: takes what must be bound to a variable.
        name: of the operator.
        opset: of the operator's domain.
        attributes: in Python's types; strings as `str`.
        inputs: None for optional ones that are left out.
        outputs: how many are asked for.
    """

    builder: relax.BlockBuilder
    name: str
    opset: int
    attributes: dict[str, Any]
    inputs: Sequence[relax.Expr | None]
    outputs: int

    def input(self, place: int) -> relax.Expr | None:
        return self.inputs[place] if place < len(self.inputs) else None

    def tensor(self, place: int = 0) -> Any:
        """An input that must be there."""
        value = self.input(place)
        if value is None:
            raise Unsupported(f"input {place} is missing")
        return value

    def constant(self, place: int) -> Array | None:
        """The value of an input that must be known now; None where it is left out."""
        value = self.input(place)
        if value is None:
            return None
        if not isinstance(value, tvm.ir.GenericConst):
            raise Unsupported(f"input {place} is computed")
        return value.value.numpy()

    def array(self, place: int) -> Array:
        """As `constant`, of an input that must be there."""
        value = self.constant(place)
        if value is None:
            raise Unsupported(f"input {place} is missing")
        return value

    def ints(self, place: int) -> list[int] | None:
        array = self.constant(place)
        return None if array is None else [int(value) for value in array.reshape(-1)]

    def shape(self, place: int = 0) -> tuple[int, ...]:
        return tuple(int(extent) for extent in self.tensor(place).ty.shape)

    def dtype(self, place: int = 0) -> str:
        return str(self.tensor(place).ty.dtype)

    def emit(self, expr: relax.Expr) -> relax.Var:
        return self.builder.emit(expr)

    def te(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> relax.Var:
        return self.builder.emit_te(function, *arguments, **options)

    def get(self, attribute: str, default: Any = None) -> Any:
        return self.attributes.get(attribute, default)


Converter = Callable[[Operation], "relax.Expr | Sequence[relax.Expr]"]
CONVERTERS: dict[tuple[str, str], Converter] = {}


def converts(*names: str, domain: str = "") -> Callable[[Converter], Converter]:
    """Registers the converter of some operators."""

    def decorated(converter: Converter) -> Converter:
        CONVERTERS.update({(domain, name): converter for name in names})
        return converter

    return decorated


def const(value: Any, dtype: str) -> relax.Expr:
    """A constant of exactly this type; `relax.const` would halve that of int64 and float64 arrays."""
    return relax.const(tvm.runtime.tensor(np.array(value, dtype, order="C")))


def numpy_dtype(onnx_dtype: int) -> str:
    """TVM's name of an ONNX type of tensors."""
    if onnx_dtype in (TensorProto.STRING, TensorProto.UNDEFINED):
        raise Unsupported("strings")
    return str(tensor_dtype_to_np_dtype(onnx_dtype))


def extents(value: relax.Expr) -> tuple[int, ...]:
    """The fixed shape of a translated tensor."""
    return tuple(int(extent) for extent in value.ty.shape)
