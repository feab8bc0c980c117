"""What this machine's memory gives, measured: the bound of kernels that compute little on what they read."""

from __future__ import annotations

import numpy as np
import tvm
from tvm.script import tirx as T

from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm

_FLOATS = 2**24  # of each array, 64 MiB: more than caches hold
_LANES = 16
_REPEATS = 7


def bandwidth_gb_s(target: Target) -> float:
    """10^9 bytes a second of a copy between two large arrays, read and written ones counted, best of some repeats.

    As STREAM counts (McCalpin 1995): what is fetched only to be overwritten is not in it.

    Args:
        target: the processor of this machine, of which TVM uses as many threads as this process allows it.
    """
    kernel = tvm.compile(_copy(), target=to_tvm(target)).mod
    source = tvm.runtime.tensor(np.ones(_FLOATS, np.float32))
    out = tvm.runtime.empty((_FLOATS,), "float32")
    times = kernel.time_evaluator("main", tvm.cpu(), number=1, repeat=_REPEATS)(source, out).results
    return 2 * 4 * _FLOATS / min(times) / 1e9


def _copy() -> tvm.tirx.PrimFunc:
    rows = _FLOATS // _LANES

    @T.prim_func
    def main(
        source: T.Buffer((_FLOATS,), "float32"),  # type: ignore[valid-type]
        out: T.Buffer((_FLOATS,), "float32"),  # type: ignore[valid-type]
    ) -> None:
        T.func_attr({"tirx.noalias": True})
        for row in T.parallel(rows):
            for lane in T.vectorized(_LANES):
                out[row * _LANES + lane] = source[row * _LANES + lane]

    return main
