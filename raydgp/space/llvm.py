"""CPU spaces: convolution on channel-blocked (NCHWc) arrays, with the accumulators of one tile held in registers.

Static validity is arithmetic: a tile's accumulators fit the register file and keep the multiply-add units busy, tiles
that hang over the output's edge waste little, and the unrolled body stays short enough to build in a fraction of a
second. Nothing else is refused: what is slow is for the search to find out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from raydgp.errors import InputError
from raydgp.space.base import Columns, ConfigSpace
from raydgp.space.knobs import Knob, choice, divisors, split
from raydgp.workloads import Conv2d, Dense, DepthwiseConv2d, Fused

LANES = 16  # float32 in a 512-bit register
_HALF = LANES // 2
MAX_ACCUMULATORS = 30  # of 32 vector registers: two stay free for the operands
MIN_ACCUMULATORS = 8  # two units, each with a latency of four cycles; or what the default has, if that is fewer
MAX_WASTE = 1.2  # points computed per point of the output
MAX_UNROLLED_FMAS = 1024  # of a loop body; about 10 KB of code
_MAX_BLOCK = 64  # elements of a channel block


def conv2d(workload: Conv2d) -> ConfigSpace:
    """Packed direct convolution.

    Knobs:
        tile_co: output channels as (outer, vectors, lanes), of `whole_vectors`; a block is vectors * lanes.
        tile_ci: input channels as (outer, middle, inner, unrolled); a block is inner * unrolled. The outer loop runs
            around the tiles of a row, so that a slice of the weights is used for all of them while it is cached.
        tile_oh, tile_ow: register tile; the last tile may hang over the edge of the output.
        order: which loop is outermost, output channels or rows.
        parallel: the number of those loops that are fused and shared among threads.
        reduction: whether the middle loop of tile_ci runs around the kernel's loops or within them.
        unroll_kernel: kernel loops unrolled, from the inside.
        inner: whether the vectors of a block or the tile's points run innermost.
        pad: where padding is computed: in a parallel stage of its own, for each outermost tile, or on every read.

    The default is what AutoTVM's x86 schedule falls back to without a log: blocks of the vector width, the widest tile
    of a row that divides it, padding as a separate stage, no unrolling.
    """
    padded = workload.padding != (0, 0)
    co, tile_ow = whole_vectors(workload.co), _widest(workload.ow)
    knobs = [
        _output_channels("tile_co", co),
        _input_channels("tile_ci", workload.ci),
        choice("tile_oh", _tiles(workload.oh, 8)),
        choice("tile_ow", _tiles(workload.ow, 28)),
        choice("order", ["co_oh", "oh_co"]),
        choice("parallel", [1, 2]),
        choice("reduction", ["ci_kernel", "kernel_ci"]),
        choice("unroll_kernel", [0, 1, 2] if workload.kh * workload.kw > 1 else [0]),
        choice("inner", ["vectors", "points"]),
        choice("pad", ["stage", "tile", "inline"] if padded else ["inline"]),
    ]
    kernel = np.array([1, workload.kw, workload.kh * workload.kw])

    def check(c: Columns) -> NDArray[np.bool_]:
        unrolled = c["tile_ci"][:, 3] * kernel[c["unroll_kernel"][:, 0]]
        points = c["tile_oh"][:, 0] * c["tile_ow"][:, 0]
        return _fits(c["tile_co"], points, unrolled, tile_ow) & _tight(workload, c)

    lanes = _vector(co)
    block_ci = _widest(workload.ci, LANES)
    default = {
        "tile_co": (co // lanes, 1, lanes),
        "tile_ci": (1, workload.ci // block_ci, block_ci, 1),
        "tile_oh": 1,
        "tile_ow": tile_ow,
        "order": "co_oh",
        "parallel": 2,
        "reduction": "ci_kernel",
        "unroll_kernel": 0,
        "inner": "vectors",
        "pad": "stage" if padded else "inline",
    }
    return ConfigSpace(workload, "llvm", "llvm.conv2d_nchwc.v1", knobs, default, check)


def depthwise_conv2d(workload: DepthwiseConv2d) -> ConfigSpace:
    """Packed depthwise convolution; knobs and default as in `conv2d`, with tile_c for the channels."""
    padded, tile_ow = workload.padding != (0, 0), _widest(workload.ow)
    knobs = [
        _output_channels("tile_c", workload.ci),
        choice("tile_oh", _tiles(workload.oh, 8)),
        choice("tile_ow", _tiles(workload.ow, 28)),
        choice("order", ["c_oh", "oh_c"]),
        choice("parallel", [1, 2]),
        choice("reduction", ["ry_rx", "rx_ry"]),
        choice("unroll_kernel", [0, 1, 2]),
        choice("inner", ["vectors", "points"]),
        choice("pad", ["stage", "tile", "inline"] if padded else ["inline"]),
    ]

    def check(c: Columns) -> NDArray[np.bool_]:
        extents = np.where(c["reduction"] == 0, [workload.kw, workload.kh], [workload.kh, workload.kw])
        kernel = np.where(np.arange(2) < c["unroll_kernel"], extents, 1).prod(axis=1)
        points = c["tile_oh"][:, 0] * c["tile_ow"][:, 0]
        return _fits(c["tile_c"], points, kernel, tile_ow) & _tight(workload, c)

    lanes = _vector(workload.ci)
    default = {
        "tile_c": (workload.ci // lanes, 1, lanes),
        "tile_oh": 1,
        "tile_ow": tile_ow,
        "order": "c_oh",
        "parallel": 2,
        "reduction": "ry_rx",
        "unroll_kernel": 0,
        "inner": "vectors",
        "pad": "stage" if padded else "inline",
    }
    return ConfigSpace(workload, "llvm", "llvm.depthwise_conv2d_nchwc.v1", knobs, default, check)


def dense(workload: Dense) -> ConfigSpace:
    """Dense layer with blocked weights.

    Knobs:
        tile_m: outputs as (outer, vectors, lanes), of `whole_vectors`; a block is vectors * lanes.
        tile_k: the sum as (outer, unrolled).
        tile_n: rows of the register tile; the last tile may hang over the edge.
        order, parallel, inner: as in `conv2d`, over blocks of outputs and tiles of rows.

    The default has blocks of the vector width, up to eight rows that divide the batch, and no unrolling.
    """
    m, tile_n = whole_vectors(workload.m), _widest(workload.n, 8)
    knobs = [
        _output_channels("tile_m", m),
        split("tile_k", workload.k, 2, keep=lambda factors: factors[:, 1] <= _MAX_BLOCK),
        choice("tile_n", _tiles(workload.n, 28)),
        choice("order", ["m_n", "n_m"]),
        choice("parallel", [1, 2]),
        choice("inner", ["vectors", "points"]),
    ]

    def check(c: Columns) -> NDArray[np.bool_]:
        return _fits(c["tile_m"], c["tile_n"][:, 0], c["tile_k"][:, 1], tile_n)

    lanes = _vector(m)
    default = {
        "tile_m": (m // lanes, 1, lanes),
        "tile_k": (workload.k, 1),
        "tile_n": tile_n,
        "order": "m_n",
        "parallel": 2,
        "inner": "vectors",
    }
    return ConfigSpace(workload, "llvm", "llvm.dense_packed.v1", knobs, default, check)


def fused(workload: Fused) -> ConfigSpace:
    """The anchor's space, with the channel blocks that the model's activations have."""
    space: ConfigSpace = SPACES[type(workload.anchor)](workload.anchor)
    blocks = {"tile_co": workload.block_out, "tile_c": workload.block_out}
    if workload.block_in > 1:
        blocks["tile_ci"] = workload.block_in
    kept = {knob.name: _with_block(workload, knob, blocks[knob.name]) for knob in space.knobs if knob.name in blocks}
    return space.restricted(kept).taken_for(workload)


def _with_block(workload: Fused, knob: Knob, block: int) -> list[Any]:
    """The options of a split of channels whose last two factors make a block."""
    kept = [label for label in knob.labels if label[-2] * label[-1] == block]
    if not kept:
        raise InputError(f"no schedule template for {workload}: {knob.name} has no blocks of {block}")
    return kept


SPACES: dict[type, Any] = {Conv2d: conv2d, DepthwiseConv2d: depthwise_conv2d, Dense: dense, Fused: fused}


def whole_vectors(channels: int) -> int:
    """Output channels as they are stored, zeros at the end: a multiple of 16 if that adds 5 % at most, else of 8."""
    whole = -(-channels // LANES) * LANES
    return whole if whole <= 1.05 * channels else -(-channels // _HALF) * _HALF


def _fits(
    block: NDArray[np.int64], points: NDArray[np.int64], unrolled: NDArray[np.int64], default_points: int
) -> NDArray[np.bool_]:
    """Whether a tile fits the registers and fills the pipeline, and its unrolled body is short enough.

    Args:
        block: int64[n, 3], channels as (outer, vectors, lanes).
        points: int64[n] of the tile in space.
        unrolled: int64[n], terms of the sum unrolled in the body.
        default_points: of the default's tile, whose channels are one vector.
    """
    accumulators = block[:, 1] * -(-block[:, 2] // LANES) * points
    busy = accumulators >= min(MIN_ACCUMULATORS, default_points)
    return busy & (accumulators <= MAX_ACCUMULATORS) & (accumulators * unrolled <= MAX_UNROLLED_FMAS)


def _tight(workload: Conv2d | DepthwiseConv2d, c: Columns) -> NDArray[np.bool_]:
    """Whether whole tiles compute little more than the output."""
    rows, columns = (-(-e // t[:, 0]) * t[:, 0] for e, t in ((workload.oh, c["tile_oh"]), (workload.ow, c["tile_ow"])))
    return rows * columns <= MAX_WASTE * workload.oh * workload.ow


def _vector(channels: int) -> int:
    """The widest of the lanes in `_output_channels` that fill no more than one register."""
    return next((d for d in (LANES, _HALF) if channels % d == 0), _widest(channels, LANES))


def _widest(extent: int, limit: int = 28) -> int:
    """The largest divisor up to a limit."""
    return max(d for d in divisors(extent) if d <= limit)


def _output_channels(name: str, channels: int) -> Knob:
    """(outer, vectors, lanes): lanes in registers or halves, blocks of up to 64; anything for channels without."""
    unit = LANES if channels % LANES == 0 else _HALF
    return split(name, channels, 3, lambda f: (f[:, 2] % unit == 0) & (f[:, 1] * f[:, 2] <= _MAX_BLOCK))


def _input_channels(name: str, channels: int) -> Knob:
    """(outer, middle, inner, unrolled): blocks of 8 to 64, or from the widest below where 8 to 16 has none."""
    narrowest = min(_HALF, _widest(channels, LANES))

    def keep(factors: NDArray[np.int64]) -> NDArray[np.bool_]:
        block = factors[:, 2] * factors[:, 3]
        return (block >= narrowest) & (block <= _MAX_BLOCK)

    return split(name, channels, 4, keep)


def _tiles(extent: int, limit: int) -> list[int]:
    """The smallest tile for every number of tiles, ascending: 13 -> 1 2 3 4 5 7 13; a divisor among them is exact."""
    return sorted({-(-extent // count) for count in range(1, extent + 1) if -(-extent // count) <= limit})
