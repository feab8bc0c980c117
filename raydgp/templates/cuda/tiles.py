"""What the CUDA templates share: tiles over blocks, virtual threads and threads, cooperative copies, unrolling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import s_tir, te
from tvm.s_tir.schedule import LoopRV, SBlockRV

Threads = Sequence[tuple[str, int]]  # (threadIdx.?, extent), outermost first

_MAX_UNROLLED_COPIES = 64  # of a thread: the compiler's time grows with their square, and their values fill registers


@dataclass(frozen=True)
class Tiles:
    """The loops of each level of a tiling, one an axis, in the order of the axes."""

    blocks: list[LoopRV]
    vthreads: list[LoopRV]
    threads: list[LoopRV]
    inner: list[LoopRV]


def padded_nchw(data: Any, padding: tuple[int, int], beyond: tuple[int, int] = (0, 0)) -> Any:
    """Block `pad`: data [n, c, h, w] with zeros around, and `beyond` more at the lower and right edge."""
    (pad_h, pad_w), (n, c, h, w) = padding, data.shape

    def pixel(n: Any, c: Any, y: Any, x: Any) -> Any:
        if not any((*padding, *beyond)):
            return data[n, c, y, x]
        inside = te.all(y >= pad_h, y < h + pad_h, x >= pad_w, x < w + pad_w)
        return te.if_then_else(inside, data[n, c, y - pad_h, x - pad_w], 0.0)

    return te.compute((n, c, h + 2 * pad_h + beyond[0], w + 2 * pad_w + beyond[1]), pixel, name="pad")


def tile(sch: s_tir.Schedule, loops: Sequence[LoopRV], factors: Sequence[Sequence[int]]) -> Tiles:
    """Splits each loop into its block, virtual thread, thread and inner part, all of a level together."""
    parts = [sch.split(loop, list(factor)) for loop, factor in zip(loops, factors, strict=True)]
    tiles = Tiles(*([part[level] for part in parts] for level in range(4)))
    sch.reorder(*tiles.blocks, *tiles.vthreads, *tiles.threads, *tiles.inner)
    return tiles


def bind(sch: s_tir.Schedule, loops: Sequence[LoopRV], kind: str) -> None:
    """Binds at most three loops to the last of z, y, x of `blockIdx`, `vthread` or `threadIdx`."""
    for loop, axis in zip(loops, "zyx"[3 - len(loops) :], strict=True):
        sch.bind(loop, f"{kind}.{axis}")


def threads(counts: Sequence[int]) -> Threads:
    """The extents of threadIdx, outermost first, as `bind` names them."""
    return [(f"threadIdx.{axis}", count) for axis, count in zip("zyx"[3 - len(counts) :], counts, strict=True)]


def fetch(sch: s_tir.Schedule, copy: SBlockRV, at: LoopRV, by: Threads, rank: int, contiguous: bool = False) -> None:
    """Copies into shared memory, once for each round of loop `at`, by all threads of the block together.

    Args:
        rank: number of axes of the copy.
        contiguous: a thread copies neighbours, as AutoTVM's direct convolution does; otherwise neighbouring threads do.
    """
    sch.compute_at(copy, at, preserve_unit_loops=True)
    fused = sch.fuse(*sch.get_loops(copy)[-rank:])
    counts = [count for _, count in by]
    parts = sch.split(fused, [*counts, None] if contiguous else [None, *counts])
    for (axis, _), loop in zip(by, parts[:-1] if contiguous else parts[1:], strict=True):
        sch.bind(loop, axis)
    keep_rolled(sch, parts[-1] if contiguous else parts[0])


def keep_rolled(sch: s_tir.Schedule, copies: LoopRV) -> bool:
    """Whether a loop over the copies of a thread is too long to be unrolled; then it is not, whatever the knobs say."""
    if int(sch.get(copies).extent) <= _MAX_UNROLLED_COPIES:
        return False
    sch.annotate(copies, "pragma_auto_unroll_max_step", 0)
    return True


def annotate_unroll(sch: s_tir.Schedule, loop: LoopRV, knobs: dict[str, Any]) -> None:
    """Unrolls what lies within the loop as the two unrolling knobs say."""
    sch.annotate(loop, "pragma_auto_unroll_max_step", knobs["auto_unroll_max_step"])
    sch.annotate(loop, "pragma_unroll_explicit", knobs["unroll_explicit"])
