"""The CPU space of convolutions on channel-blocked (NCHWc) arrays, the accumulators of one tile held in registers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raydgp.space import Columns, ConfigSpace, choice
from raydgp.targets import Target
from raydgp.templates.llvm.features import Window, window_features
from raydgp.templates.llvm.registers import (
    LANES,
    Registers,
    even_row,
    input_channels,
    output_channels,
    stored,
    tight,
    tiles,
    whole_vectors,
    widest,
    widest_vector,
)
from raydgp.templates.registry import Layers, register
from raydgp.workloads import Conv2d
from raydgp.workloads.ops import Convolution

TEMPLATE = "llvm.conv2d_nchwc.v1"


def space(workload: Conv2d, target: Target) -> ConfigSpace:
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

    The default is what AutoTVM's x86 schedule falls back to without a log: blocks of the vector width, the tile of a
    row that covers it best with what fits the registers, padding as a separate stage, no unrolling.
    """
    return packed_space(workload, workload, target, TEMPLATE)


def packed_space(workload: Convolution, one: Conv2d, target: Target, template: str) -> ConfigSpace:
    """The space of a packed convolution whose knobs are of a group of its channels.

    Args:
        one: that group, the workload itself where it is the only one.
    """
    padded, registers = workload.padding != (0, 0), Registers.of(target)
    co = whole_vectors(one.co)
    lanes = widest_vector(co)
    tile_ow = even_row(workload.ow, tiles(workload.ow, registers.points(lanes)))
    knobs = [
        output_channels("tile_co", co),
        input_channels("tile_ci", one.ci),
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
        return registers.fits(c["tile_co"], points, unrolled, tile_ow * registers.holding(lanes)) & tight(workload, c)

    block_ci = widest(one.ci, LANES)
    default = {
        "tile_co": (co // lanes, 1, lanes),
        "tile_ci": (1, one.ci // block_ci, block_ci, 1),
        "tile_oh": 1,
        "tile_ow": tile_ow,
        "order": "co_oh",
        "parallel": 2,
        "reduction": "ci_kernel",
        "unroll_kernel": 0,
        "inner": "vectors",
        "pad": "stage" if padded else "inline",
    }
    return ConfigSpace(workload, target.kind, template, knobs, default, check)


def features(workload: Conv2d, c: Columns) -> dict[str, NDArray[np.float64]]:
    """Registers and cache of a tile, the share of each thread, waste."""
    kernel = workload.kh * workload.kw
    slices = c["tile_ci"][:, 0].astype(float)
    unrolled = np.array([1, workload.kw, kernel])[c["unroll_kernel"][:, 0]] * c["tile_ci"][:, 3]
    window = Window(workload, c["tile_co"].astype(float), unrolled, workload.ci, slices, workload.ci / slices)
    return window_features(window, c)


def blocks(workload: Conv2d, given: int, target: Target) -> tuple[int, int]:
    """Blocks of the data as they come; of plain data the widest that fit."""
    registers = Registers.of(target)
    block_in = given if given > 1 else next((b for b in registers.blocks if workload.ci % b == 0), 1)
    return block_in, registers.block(workload.co)


register(
    target="llvm",
    workload=Conv2d,
    space=space,
    schedules={TEMPLATE: "raydgp.templates.llvm.conv2d:PackedConv2d"},
    features=features,
    layers=Layers(blocks=blocks, read="tile_ci", written="tile_co", stored=stored),
)
