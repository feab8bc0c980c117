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
from raydgp.space.knobs import Knob, choice, split
from raydgp.templates.llvm.registers import (
    LANES,
    MAX_BLOCK,
    fits,
    input_channels,
    output_channels,
    tiles,
    whole_vectors,
    widest,
    widest_vector,
)
from raydgp.templates.llvm.winograd_space import winograd
from raydgp.workloads import Conv2d, Dense, DepthwiseConv2d, Fused

MAX_WASTE = 1.2  # points computed per point of the output


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
    co, tile_ow = whole_vectors(workload.co), widest(workload.ow)
    knobs = [
        output_channels("tile_co", co),
        input_channels("tile_ci", workload.ci),
        choice("tile_oh", tiles(workload.oh, 8)),
        choice("tile_ow", tiles(workload.ow, 28)),
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
        return fits(c["tile_co"], points, unrolled, tile_ow) & _tight(workload, c)

    lanes = widest_vector(co)
    block_ci = widest(workload.ci, LANES)
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
    padded, tile_ow = workload.padding != (0, 0), widest(workload.ow)
    knobs = [
        output_channels("tile_c", workload.ci),
        choice("tile_oh", tiles(workload.oh, 8)),
        choice("tile_ow", tiles(workload.ow, 28)),
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
        return fits(c["tile_c"], points, kernel, tile_ow) & _tight(workload, c)

    lanes = widest_vector(workload.ci)
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
    m, tile_n = whole_vectors(workload.m), widest(workload.n, 8)
    knobs = [
        output_channels("tile_m", m),
        split("tile_k", workload.k, 2, keep=lambda factors: factors[:, 1] <= MAX_BLOCK),
        choice("tile_n", tiles(workload.n, 28)),
        choice("order", ["m_n", "n_m"]),
        choice("parallel", [1, 2]),
        choice("inner", ["vectors", "points"]),
    ]

    def check(c: Columns) -> NDArray[np.bool_]:
        return fits(c["tile_m"], c["tile_n"][:, 0], c["tile_k"][:, 1], tile_n)

    lanes = widest_vector(m)
    default = {
        "tile_m": (m // lanes, 1, lanes),
        "tile_k": (workload.k, 1),
        "tile_n": tile_n,
        "order": "m_n",
        "parallel": 2,
        "inner": "vectors",
    }
    return ConfigSpace(workload, "llvm", "llvm.dense_packed.v1", knobs, default, check)


def _tight(workload: Conv2d | DepthwiseConv2d, c: Columns) -> NDArray[np.bool_]:
    """Whether whole tiles compute little more than the output."""
    rows, columns = (-(-e // t[:, 0]) * t[:, 0] for e, t in ((workload.oh, c["tile_oh"]), (workload.ow, c["tile_ow"])))
    return rows * columns <= MAX_WASTE * workload.oh * workload.ow


def fused(workload: Fused) -> ConfigSpace:
    """The anchor's space, with the channel blocks that the model's activations have.

    Raises:
        InputError: the algorithm does not serve the anchor, or reads blocks that the data does not have.
    """
    kind, algorithm = type(workload.anchor), workload.algorithm
    build = SPACES.get(kind) if algorithm == "direct" else VARIANTS.get((kind, algorithm))
    if build is None or (algorithm == "winograd" and workload.block_in == 1):
        raise InputError(f"no schedule template for {workload}")
    space: ConfigSpace = build(workload.anchor)
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
VARIANTS: dict[tuple[type, str], Any] = {(Conv2d, "winograd"): winograd}
