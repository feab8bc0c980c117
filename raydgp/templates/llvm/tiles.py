"""What the CPU templates share: an output tile summed in registers, rows of tiles shared among threads, padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import s_tir, te
from tvm.s_tir.schedule import LoopRV

AHEAD = "raydgp.prefetch"  # annotation of a loop: the array that it asks for ahead, as the code is made


def whole_tiles(extent: int, tile: int) -> int:
    """The extent rounded up to tiles."""
    return -(-extent // tile) * tile


def padded(data: Any, padding: tuple[int, int], shape: tuple[int, ...]) -> Any:
    """Block `pad`: data [n, c, h, w, b] with zeros around; beyond the lower and right edge as many as fill `shape`.

    Data [n, c * b, h, w] gets its channels blocked on the way.
    """
    (pad_h, pad_w), (h, w) = padding, data.shape[2:4]

    def pixel(n: Any, c: Any, y: Any, x: Any, b: Any) -> Any:
        inside = te.all(y >= pad_h, y < h + pad_h, x >= pad_w, x < w + pad_w)
        at = (n, c, y - pad_h, x - pad_w, b) if len(data.shape) == 5 else (n, c * shape[4] + b, y - pad_h, x - pad_w)
        return te.if_then_else(inside, data[at], 0.0)

    return te.compute(shape, pixel, name="pad")


def sum_in_registers(
    sch: s_tir.Schedule, grid: Sequence[LoopRV], written_in: LoopRV, summed_in: LoopRV, points: int, whole: bool = True
) -> LoopRV:
    """Gives each tile of block `conv` local accumulators, which block `out` then writes to memory.

    Args:
        grid: outermost loops, fused and shared among threads.
        written_in: the loop within which `out` writes what is finished.
        summed_in: the outermost loop of the sum; accumulators are cleared before it.
        points: number of loops of the tile, which are `conv`'s innermost, the vectorised one included.
        whole: whether the sum is finished within a tile, so that it is written straight from registers.

    Returns:
        The parallel loop.
    """
    conv, out = sch.get_sblock("conv"), sch.get_sblock("out")
    sch.set_scope(conv, 0, "local")
    sch.reverse_compute_at(out, written_in, preserve_unit_loops=True)
    parallel = sch.fuse(*grid)
    sch.parallel(parallel)  # before the decomposition, after which TVM cannot prove it safe
    init = sch.decompose_reduction(conv, summed_in)
    for block, rank in ((init, points), (out, points - 1)):
        *around, lane = sch.get_loops(block)[-rank:]
        sch.vectorize(lane)
        if whole or block is init:
            for loop in around:
                sch.unroll(loop)
    return parallel


def schedule_pad(sch: s_tir.Schedule, where: str, parallel: LoopRV) -> None:
    """Computes block `pad` in a parallel `stage` of its own, or for each `tile` of the parallel loop."""
    pad = sch.get_sblock("pad")
    if where == "tile":
        sch.compute_at(pad, parallel)
    loops = sch.get_loops(pad)
    sch.vectorize(loops[-1])
    if where == "stage":
        sch.parallel(sch.fuse(*loops[:3]))


def straight(sch: s_tir.Schedule, loops: Sequence[LoopRV]) -> None:
    """Code without loops: the last one vectorised, the others unrolled."""
    *around, lane = loops
    for loop in around:
        sch.unroll(loop)
    sch.vectorize(lane)


def fetch_weights(sch: s_tir.Schedule, loop: LoopRV, points: int, passes: int) -> None:
    """Has a loop of the sum ask for its weights ahead, where that costs less than waiting for them.

    Every pass asks for every vector of weights, once for `points` multiply-adds; only the first has anything to wait
    for. Measured on AVX-512, with weights in no cache: 1.05 to 1.4 times faster up to twice as many passes as points,
    0.75 to 0.95 beyond.

    Args:
        points: of a tile, which share a vector of weights.
        passes: number of tiles that are summed one after the other with the same weights.
    """
    if passes <= 2 * points:
        sch.annotate(loop, AHEAD, "weight")
