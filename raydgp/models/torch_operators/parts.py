"""Operators that give several parts of a tensor, each an array of its own from the start, or its sorted elements."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from tvm import relax

from raydgp.models.torch_operators.base import Operation, converts, shape_of


@converts("split.Tensor", "split_with_sizes.default", "chunk.default", "unbind.int")
def parts(op: Operation) -> Any:
    given, kind = op.arguments(), op.name.partition(".")[0]
    x, axis = given["self"], int(given["dim"]) % given["self"].ty.ndim
    length = shape_of(x)[axis]
    if kind == "split_with_sizes":
        sizes = [int(size) for size in given["split_sizes"]]
    else:
        chunk = {"split": given.get("split_size"), "unbind": 1, "chunk": -(-length // given.get("chunks", 1))}[kind]
        sizes = [min(chunk, length - begin) for begin in range(0, length, chunk)]
    slices = [
        op.emit(relax.op.strided_slice(x, [axis], [end - size], [end]))
        for size, end in zip(sizes, accumulate(sizes), strict=True)
    ]
    return tuple(op.emit(relax.op.squeeze(part, [axis])) if kind == "unbind" else part for part in slices)


@converts("sort.stable")
def in_order(op: Operation) -> Any:
    given = op.arguments()
    x, axis = given["self"], int(given["dim"])
    places = op.emit(relax.op.argsort(x, axis, bool(given["descending"]), "int64"))
    return op.emit(relax.op.gather_elements(x, places, axis)), places
