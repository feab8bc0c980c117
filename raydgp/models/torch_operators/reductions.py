"""Reductions that torch decomposes others into, and TVM's importer lacks."""

from __future__ import annotations

from typing import Any

from tvm import relax

from raydgp.models.torch_operators.base import Operation, converts


@converts("amax.default", "amin.default")
def extreme(op: Operation) -> Any:
    given = op.arguments()
    reduce = relax.op.max if op.name.startswith("amax") else relax.op.min
    return op.emit(reduce(given["self"], [int(axis) for axis in given["dim"]] or None, bool(given["keepdim"])))


@converts("broadcast_in_dim.default")
def broadcast(op: Operation) -> Any:
    """Axes of the data at given places of a shape, all others new."""
    given = op.arguments()
    shape, places = [int(extent) for extent in given["shape"]], [int(place) for place in given["broadcast_dimensions"]]
    sizes = dict(zip(places, given["a"].ty.shape, strict=True))
    wide = op.emit(relax.op.reshape(given["a"], [sizes.get(place, 1) for place in range(len(shape))]))
    return op.emit(relax.op.broadcast_to(wide, shape))
