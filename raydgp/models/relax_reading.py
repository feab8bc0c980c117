"""What an expression of Relax says: the variables that it reads, a constant's array, a shape, the operator called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax

from raydgp.errors import InputError

Array = NDArray[np.float32]


def variables(value: Any) -> Iterator[relax.Var]:
    """The variables that a bound value reads, each as often as it does."""
    if isinstance(value, relax.Var):
        yield value
    elif isinstance(value, relax.Call):
        for argument in value.args:
            yield from variables(argument)
    elif isinstance(value, relax.Tuple):
        for part in value.fields:
            yield from variables(part)
    elif isinstance(value, relax.TupleGetItem):
        yield from variables(value.tuple_value)


def constant(value: Any) -> Array | None:
    """A constant's array; None for anything else."""
    return value.value.numpy() if isinstance(value, tvm.ir.GenericConst) else None


def shape_of(value: Any) -> tuple[int, ...]:
    """A tensor's static shape.

    Raises:
        InputError: it is not static.
    """
    try:
        return tuple(int(extent) for extent in value.ty.shape)
    except (TypeError, AttributeError):
        raise InputError(
            f"the model has a tensor of no fixed shape ({value.ty}); export it with fixed shapes"
        ) from None


def operator(value: Any) -> str:
    """The name of the operator called, as `nn.conv2d`; empty for anything else."""
    is_operator = isinstance(value, relax.Call) and isinstance(value.op, tvm.ir.Op)
    return value.op.name.removeprefix("relax.") if is_operator else ""
