"""Operators that read and write at places that other tensors say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import relax

from raydgp.errors import InputError
from raydgp.models.torch_operators.base import Operation, converts, shape_of

_REDUCTIONS = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min"}


@dataclass(frozen=True)
class _Places:
    """What indices of some axes name together.

    Attributes:
        order: of a tensor's axes, those that are indexed first.
        index: [*shape, axes], each within its axis.
        shape: of the places.
        first: where the axes of the places stand in what is read or written.
    """

    order: list[int]
    index: relax.Expr
    shape: tuple[int, ...]
    first: int

    @classmethod
    def of(cls, op: Operation, x: relax.Expr, indices: Sequence[relax.Expr | None]) -> _Places:
        named = {axis: index for axis, index in enumerate(indices) if index is not None}
        axes, sizes = list(named), shape_of(x)
        shape = _broadcast(*(shape_of(index) for index in named.values()))
        index = op.emit(relax.op.stack([_within(op, named[a], shape, sizes[a]) for a in axes], -1))
        together = axes == list(range(axes[0], axes[-1] + 1))  # else torch lays what is indexed before all others
        rest = [axis for axis in range(len(sizes)) if axis not in axes]
        return cls(axes + rest, index, shape, axes[0] if together else 0)

    def to_front(self, rank: int) -> list[int]:
        """The axes of what is read or written, of that rank, with those of the places first."""
        places = range(self.first, self.first + len(self.shape))
        return [*places, *(axis for axis in range(rank) if axis not in places)]


def _back(order: list[int]) -> list[int]:
    return [order.index(axis) for axis in range(len(order))]


@converts("index.Tensor", "_unsafe_index.Tensor")
def index(op: Operation) -> Any:
    """Elements at the places that indices of some axes name together; other axes are taken whole."""
    given = op.arguments()
    x, indices = given["self"], list(given["indices"])
    if any(i is not None and str(i.ty.dtype) == "bool" for i in indices):
        raise InputError("it takes what a mask says, whose number is not known: use torch.where")
    axes = [axis for axis, i in enumerate(indices) if i is not None]
    if len(axes) == 1:
        i = indices[axes[0]]
        return op.emit(relax.op.take(x, _within(op, i, shape_of(i), shape_of(x)[axes[0]]), axes[0], mode="clip"))
    places = _Places.of(op, x, indices)
    read = op.emit(relax.op.gather_nd(op.emit(relax.op.permute_dims(x, places.order)), places.index))
    return op.emit(relax.op.permute_dims(read, _back(places.to_front(read.ty.ndim))))


@converts("index_put.default", "index_put_.default", "_unsafe_index_put.default")
def index_put(op: Operation) -> Any:
    """Values at such places."""
    given = op.arguments()
    x, indices, values = given["self"], list(given["indices"]), given["values"]
    if any(i is not None and str(i.ty.dtype) == "bool" for i in indices):
        return _masked(op, x, indices, values)
    places = _Places.of(op, x, indices)
    rest = [shape_of(x)[axis] for axis in places.order[len(indices) - indices.count(None) :]]
    values = op.emit(relax.op.broadcast_to(values, [*rest[: places.first], *places.shape, *rest[places.first :]]))
    values = op.emit(relax.op.permute_dims(values, places.to_front(values.ty.ndim)))
    data = op.emit(relax.op.permute_dims(x, places.order))
    written = op.emit(relax.op.scatter_nd(data, places.index, values, "add" if given["accumulate"] else "update"))
    return op.emit(relax.op.permute_dims(written, _back(places.order)))


def _masked(op: Operation, x: Any, indices: list[Any], values: Any) -> Any:
    """One value wherever a mask over the first axes is true."""
    if len(indices) > 1 or math.prod(shape_of(values)) != 1 or op.arguments()["accumulate"]:
        raise InputError("it writes several values at places that a mask says: use torch.where")
    mask = indices[0]
    mask = op.emit(relax.op.reshape(mask, [*shape_of(mask), *[1] * (x.ty.ndim - mask.ty.ndim)]))
    return op.emit(relax.op.where(mask, op.emit(relax.op.reshape(values, ())), x))


def _within(op: Operation, index: Any, places: tuple[int, ...], length: int) -> Any:
    """Indices from the end counted from the start, none beyond it, for TVM writes wherever it is told."""
    index = op.emit(relax.op.astype(index, "int64"))
    index = op.emit(relax.op.where(index < relax.const(0, "int64"), index + relax.const(length, "int64"), index))
    return op.emit(relax.op.broadcast_to(op.emit(relax.op.clip(index, 0, length - 1)), places))


def _broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    rank = max(map(len, shapes))
    return tuple(max(sizes) for sizes in zip(*((1,) * (rank - len(s)) + s for s in shapes), strict=True))


@converts("scatter_reduce.two")
def scatter_reduce(op: Operation) -> Any:
    given = op.arguments()
    if given["reduce"] not in _REDUCTIONS or not given["include_self"]:
        raise InputError(f"scatter_reduce with reduce={given['reduce']!r} and include_self={given['include_self']}")
    index, source = given["index"], given["src"]
    if shape_of(source) != shape_of(index):  # torch reads a corner of a larger source
        ends = shape_of(index)
        source = op.emit(relax.op.strided_slice(source, list(range(len(ends))), [0] * len(ends), ends))
    return op.emit(relax.op.scatter_elements(given["self"], index, source, given["dim"], _REDUCTIONS[given["reduce"]]))
