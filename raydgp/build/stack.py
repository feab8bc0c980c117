"""Small arrays of a CPU kernel on its stack.

TVM takes whatever a schedule calls local from a pool, once for each tile, and gives it back after it. Such an array has
an address, so that sums are written to memory and read again on their way to the output. On the stack they stay in
registers.
"""

from __future__ import annotations

from math import prod

import tvm_ffi
from tvm import tirx

_MOST = 1 << 14  # bytes of an array
_KEPT = "disable_lower_builtin"  # TVM's word for an allocation that its code generator puts on the stack


def on_stack(function: tirx.PrimFunc) -> tirx.PrimFunc:
    """A lowered function for a CPU, its local arrays of up to 16 KiB on the stack."""
    return tvm_ffi.structural_map(function, (tirx.AllocBuffer, _kept))


def _kept(allocation: tirx.AllocBuffer) -> tirx.AllocBuffer:
    array = allocation.buffer
    if array.scope() != "local" or not all(isinstance(extent, int | tirx.IntImm) for extent in array.shape):
        return allocation
    if prod(map(int, array.shape)) * array.dtype.itemsize > _MOST:
        return allocation
    return tirx.AllocBuffer(array, {**allocation.annotations, _KEPT: tirx.IntImm("int32", 1)})
