"""Weights fetched into a processor's cache before they are used.

The weights of a whole model are in no core's cache. Where few tiles share them, as in layers of many channels and few
pixels, what a processor fetches ahead by itself comes too late.
"""

from __future__ import annotations

from math import prod
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.tirx.analysis import undefined_vars

from raydgp.templates.llvm.tiles import AHEAD

_DISTANCE = 1 << 12  # bytes
_LINE = 64  # bytes
_READ, _ALL_LEVELS, _DATA = 0, 3, 1  # arguments of LLVM's prefetch


def prefetched(function: tirx.PrimFunc) -> tirx.PrimFunc:
    """A scheduled function whose loops with the annotation `AHEAD` ask for what they read 4 KiB later.

    Such a loop has nothing in it but the loops of one block, and an iteration reads a run of the array in memory.
    """
    return tvm_ffi.structural_map(function, (tirx.For, _ahead))


def _ahead(loop: tirx.For) -> tirx.For:
    name = loop.annotations.get(AHEAD)
    if name is None:
        return loop
    inner, inside = {}, loop.body
    while isinstance(inside, tirx.For):
        inner[inside.loop_var] = int(inside.extent)
        inside = inside.body
    axes = dict(zip((axis.var for axis in inside.block.iter_vars), inside.iter_values, strict=True))
    read = next(read for read in inside.block.reads if read.source.name == name)
    index = [_replaced(part.min, axes) for part in read.region]
    read_by = {variable for part in index for variable in undefined_vars(part)}
    run = prod(extent for variable, extent in inner.items() if variable in read_by)  # elements that an iteration reads
    *first, last = [_replaced(part, dict.fromkeys(inner, tirx.const(0, "int32"))) for part in index]
    size = read.source.dtype.itemsize
    asked = [
        _prefetch(tirx.BufferLoad(read.source, [*first, last + (_DISTANCE + byte) // size]))
        for byte in range(0, run * size, _LINE)
    ]
    return tirx.For(
        loop.loop_var,
        loop.min,
        loop.extent,
        loop.kind,
        tirx.SeqStmt([*asked, loop.body]),
        loop.thread_binding,
        {key: value for key, value in loop.annotations.items() if key != AHEAD},
    )


def _prefetch(element: tirx.BufferLoad) -> tirx.Evaluate:
    arguments = [tirx.const(argument, "int32") for argument in (_READ, _ALL_LEVELS, _DATA)]
    return tirx.Evaluate(tirx.call_intrin("void", "tirx.prefetch", tirx.address_of(element), *arguments))


def _replaced(expression: Any, values: dict[Any, Any]) -> Any:
    return tvm_ffi.structural_map(expression, (tirx.Var, lambda variable: values.get(variable, variable)))
