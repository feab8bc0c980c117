"""CPU space of Winograd's convolution on channel-blocked arrays (Lavin and Gray, Fast Algorithms for Convolutional
Neural Networks, CVPR 2016): fewer multiplications, in alpha^2 independent matrix products over the input channels.

Static validity is arithmetic, as in `space.llvm`: the accumulators of a product's tile fit the register file, and what
hangs over the edge leaves fewer multiplications than the direct convolution has.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raydgp.errors import InputError
from raydgp.space.base import Columns, ConfigSpace
from raydgp.space.knobs import choice, split
from raydgp.space.registers import HALF, LANES, MAX_BLOCK, fits, whole_vectors, widest, widest_vector
from raydgp.workloads import Conv2d

TILES = (2, 4, 6)  # edges m of an output tile; beyond, float32 loses more than it should (Lavin and Gray, 4.3)
GROUPS = {"tile": 0, "row": 1, "two_rows": 2, "four_rows": 4, "all": 0}  # rows of register tiles, where they say so
_MAX_MULTIPLIES = 0.65  # of the direct convolution's
_MAX_WASTE = 1.2  # tiles computed per tile of the output
_HEIGHTS, _WIDTHS = (1, 2, 3, 4), (1, 2, 3, 4, 5, 6, 7, 8, 10, 14)  # of a register tile


def winograd(workload: Conv2d) -> ConfigSpace:
    """Winograd's convolution F(m x m, 3 x 3), the weight transformed beforehand.

    Knobs:
        tile: edge m of an output tile; alpha = m + 2 is the input tile's.
        tile_co: output channels as (outer, chunk, vectors, lanes), of `whole_vectors`; a block is vectors * lanes. The
            products of a chunk of blocks wait in a local array for their transform back.
        tile_ci: input channels as (outer, inner, unrolled); a block is inner * unrolled.
        tile_h, tile_w: register tile of the products, in tiles.
        group: tiles that go through all steps together, while they are cached: a register `tile`, a row of those, two
            or four rows, or `all`.
        grid: what the threads share. `groups`: each transforms its input itself; `groups_co` and `co_groups`: the input
            is transformed in a stage of its own, then groups and chunks of channels are shared, in this order.
        pad: where padding is computed: in a parallel stage of its own, for each piece of the transform, or on reading.

    The default is F(4 x 4, 3 x 3), or F(2 x 2, 3 x 3) where that wastes less, with the widest tile of up to 14.

    Raises:
        InputError: the kernel is not 3 x 3, or there is a stride or a dilation, or too little output for any tile.
    """
    if not ((workload.kh, workload.kw) == (3, 3) and workload.stride == workload.dilation == (1, 1)):
        raise InputError(f"winograd needs a 3x3 kernel without stride and dilation; {workload} has not")
    co, narrowest = whole_vectors(workload.co), min(HALF, widest(workload.ci, LANES))
    most_rows, most_columns = -(-workload.oh // min(TILES)), -(-workload.ow // min(TILES))
    unit = LANES if co % LANES == 0 else HALF
    knobs = [
        choice("tile", list(TILES)),
        split("tile_co", co, 4, lambda f: (f[:, 3] % unit == 0) & (f[:, 2] * f[:, 3] <= MAX_BLOCK)),
        split(
            "tile_ci",
            workload.ci,
            3,
            lambda f: (f[:, 1:].prod(axis=1) >= narrowest) & (f[:, 1:].prod(axis=1) <= MAX_BLOCK) & (f[:, 2] <= HALF),
        ),
        choice("tile_h", [edge for edge in _HEIGHTS if edge <= most_rows]),
        choice("tile_w", [edge for edge in _WIDTHS if edge <= most_columns]),
        choice("group", list(GROUPS)),
        choice("grid", ["groups", "groups_co", "co_groups"]),
        choice("pad", ["stage", "piece", "inline"]),
    ]

    def check(c: Columns) -> NDArray[np.bool_]:
        m, tile_h, tile_w = (c[name][:, 0] for name in ("tile", "tile_h", "tile_w"))
        rows, columns = -(-workload.oh // m), -(-workload.ow // m)
        group_h = tile_h * np.array([max(1, rows) for rows in GROUPS.values()])[c["group"][:, 0]]
        whole = -(-rows // group_h) * group_h * -(-columns // tile_w) * tile_w
        tight = whole <= _MAX_WASTE * rows * columns
        fewer = (m + 2) ** 2 * whole <= _MAX_MULTIPLIES * 9 * workload.oh * workload.ow
        block = c["tile_co"][:, [0, 2, 3]]
        return tight & fewer & fits(block, tile_h * tile_w, c["tile_ci"][:, 2], default_points)

    multiplies = {m: (m + 2) ** 2 * -(-workload.oh // m) * -(-workload.ow // m) for m in (4, 2)}
    m = min(multiplies, key=lambda edge: multiplies[edge])
    if multiplies[m] > _MAX_MULTIPLIES * 9 * workload.oh * workload.ow:
        raise InputError(f"winograd saves nothing on {workload}: its output is too small")
    tile_w = max(edge for edge in _WIDTHS if -(-workload.ow // m) % edge == 0)
    tile_h = max(edge for edge in _HEIGHTS if -(-workload.oh // m) % edge == 0 and edge * tile_w <= max(_WIDTHS))
    default_points = tile_h * tile_w
    lanes, block_ci = widest_vector(co), widest(workload.ci, LANES)
    default = {
        "tile": m,
        "tile_co": (co // lanes, 1, 1, lanes),
        "tile_ci": (workload.ci // block_ci, block_ci, 1),
        "tile_h": tile_h,
        "tile_w": tile_w,
        "group": "row",
        "grid": "groups",
        "pad": "stage",
    }
    return ConfigSpace(workload, "llvm", "llvm.conv2d_nchwc_winograd.v1", knobs, default, check)
