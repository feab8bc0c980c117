"""The CPU space of depthwise convolutions on channel-blocked arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raydgp.space import Columns, ConfigSpace, choice
from raydgp.targets import Target
from raydgp.templates.llvm.features import Window, window_features
from raydgp.templates.llvm.registers import (
    Registers,
    even_row,
    output_channels,
    stored,
    tight,
    tiles,
    widest_vector,
)
from raydgp.templates.registry import Layers, register
from raydgp.workloads import DepthwiseConv2d

TEMPLATE = "llvm.depthwise_conv2d_nchwc.v1"


def space(workload: DepthwiseConv2d, target: Target) -> ConfigSpace:
    """Packed depthwise convolution; knobs and default as in `conv2d_space`, with tile_c for the channels."""
    padded, registers = workload.padding != (0, 0), Registers.of(target)
    lanes = widest_vector(workload.ci)
    tile_ow = even_row(workload.ow, tiles(workload.ow, registers.points(lanes)))
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
        return registers.fits(c["tile_c"], points, kernel, tile_ow * registers.holding(lanes)) & tight(workload, c)

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
    return ConfigSpace(workload, target.kind, TEMPLATE, knobs, default, check)


def features(workload: DepthwiseConv2d, c: Columns) -> dict[str, NDArray[np.float64]]:
    """Registers and cache of a tile, the share of each thread, waste."""
    block = c["tile_c"].astype(float)
    unrolled = np.array([1, workload.kw, workload.kh * workload.kw])[c["unroll_kernel"][:, 0]]
    window = Window(workload, block, unrolled, 1, np.ones(len(block)), block[:, 1] * block[:, 2])
    return window_features(window, c)


def _blocks(workload: DepthwiseConv2d, given: int, target: Target) -> tuple[int, int]:
    """The same for what is read and written: each channel is computed of itself."""
    block = Registers.of(target).block(workload.ci)
    return block, block


register(
    target="llvm",
    workload=DepthwiseConv2d,
    space=space,
    schedules={TEMPLATE: "raydgp.templates.llvm.depthwise:PackedDepthwiseConv2d"},
    features=features,
    layers=Layers(blocks=_blocks, written="tile_c", stored=stored),
)
