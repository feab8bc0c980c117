"""CPU space of Winograd's convolution on channel-blocked arrays (Lavin and Gray, Fast Algorithms for Convolutional
Neural Networks, CVPR 2016): fewer multiplications, in alpha^2 independent matrix products over the input channels.

Static validity is arithmetic, as in `registers`: the accumulators of a product's tile fit the register file, and what
hangs over the edge leaves fewer multiplications than the direct convolution has.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from raydgp.errors import InputError
from raydgp.space.base import Columns, ConfigSpace
from raydgp.space.knobs import choice, split
from raydgp.targets import Target
from raydgp.templates.llvm.conv2d_space import blocks
from raydgp.templates.llvm.features import register_features
from raydgp.templates.llvm.registers import (
    HALF,
    LANES,
    MAX_BLOCK,
    Registers,
    even_tile,
    stored,
    whole_vectors,
    widest,
    widest_vector,
)
from raydgp.templates.registry import Layers, register
from raydgp.workloads import Conv2d

TEMPLATE = "llvm.conv2d_nchwc_winograd.v1"
EDGES = (4, 6, 8)  # alpha, of an input tile; beyond, float32 loses more than it should (Lavin and Gray, 4.3)
GROUPS = {"tile": 0, "row": 1, "two_rows": 2, "four_rows": 4, "all": 0}  # rows of register tiles, where they say so
_MAX_MULTIPLIES = 0.65  # of the direct convolution's
_MAX_WASTE = 1.2  # tiles computed per tile of the output
_CACHED_BYTES = 2 << 20  # of transformed data that stay cached while blocks of weights go by
_HEIGHTS, _WIDTHS = (1, 2, 3, 4), (1, 2, 3, 4, 5, 6, 7, 8, 10, 14)  # of a register tile


def space(workload: Conv2d, target: Target) -> ConfigSpace:
    """Winograd's convolution F(m x m, r x r), the weight transformed beforehand.

    Knobs:
        tile: edge m of an output tile; alpha = m + r - 1 is the input tile's.
        tile_co: output channels as (outer, chunk, vectors, lanes), of `whole_vectors`; a block is vectors * lanes. The
            products of a chunk of blocks wait in a local array for their transform back.
        tile_ci: input channels as (outer, inner, unrolled); a block is inner * unrolled.
        tile_h, tile_w: register tile of the products, in tiles.
        group: tiles that go through all steps together, while they are cached: a register `tile`, a row of those, two
            or four rows, or `all`.
        grid: what the threads share. `groups`: each transforms its input itself; `groups_co` and `co_groups`: the input
            is transformed in a stage of its own, then groups and chunks of channels are shared, in this order.
        pad: where padding is computed: in a parallel stage of its own, for each piece of the transform, or on reading.

    The default is the tile with an input tile of 6 or 4, of the two the one that multiplies less, and the register tile
    that covers all with the least work. Weights are read once for all tiles, unless those alone fill the caches.

    Raises:
        InputError: the kernel is not square or not 3 to 5 wide, or there is a stride or a dilation, or too little
            output for any tile.
    """
    r = workload.kh
    if not (workload.kw == r and 3 <= r <= 5 and workload.stride == workload.dilation == (1, 1)):
        raise InputError(f"winograd needs a square kernel of 3 to 5 without stride and dilation; {workload} has not")
    output_edges = [alpha - r + 1 for alpha in EDGES if alpha > r]
    registers = Registers.of(target)
    co, narrowest = whole_vectors(workload.co), min(HALF, widest(workload.ci, LANES))
    most_rows, most_columns = -(-workload.oh // min(output_edges)), -(-workload.ow // min(output_edges))
    unit = LANES if co % LANES == 0 else HALF
    knobs = [
        choice("tile", output_edges),
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
        fewer = (m + r - 1) ** 2 * whole <= _MAX_MULTIPLIES * r**2 * workload.oh * workload.ow
        block = c["tile_co"][:, [0, 2, 3]]
        default_taken = default_points * registers.holding(lanes)
        return tight & fewer & registers.fits(block, tile_h * tile_w, c["tile_ci"][:, 2], default_taken)

    multiplies = {m: (m + r - 1) ** 2 * -(-workload.oh // m) * -(-workload.ow // m) for m in output_edges if m + r < 8}
    m = min(multiplies, key=lambda edge: multiplies[edge])
    if multiplies[m] > _MAX_MULTIPLIES * r**2 * workload.oh * workload.ow:
        raise InputError(f"winograd saves nothing on {workload}: its output is too small")
    lanes, block_ci = widest_vector(co), widest(workload.ci, LANES)
    points = registers.points(lanes, most=max(_WIDTHS))
    rows, columns = -(-workload.oh // m), -(-workload.ow // m)
    alpha = (m + r - 1) ** 2
    most = min(_MAX_WASTE * rows * columns, _MAX_MULTIPLIES * r**2 * workload.oh * workload.ow / alpha)
    tile_h, tile_w = even_tile(
        rows,
        columns,
        [
            (h, w)
            for h, w in product(_HEIGHTS, _WIDTHS)
            if h <= most_rows and w <= most_columns and h * w <= points
            if -(-rows // h) * h * -(-columns // w) * w <= most
        ],
    )
    default_points = tile_h * tile_w
    together = 4 * alpha * rows * columns * workload.ci <= _CACHED_BYTES
    default = {
        "tile": m,
        "tile_co": (co // lanes, 1, 1, lanes),
        "tile_ci": (workload.ci // block_ci, block_ci, 1),
        "tile_h": tile_h,
        "tile_w": tile_w,
        "group": "all" if together else "row",
        "grid": "groups_co" if together else "groups",
        "pad": "stage",
    }
    return ConfigSpace(workload, target.kind, TEMPLATE, knobs, default, check)


def features(workload: Conv2d, c: Columns) -> dict[str, NDArray[np.float64]]:
    """Registers of a tile of the products, and how many of those there are."""
    m, rows, columns = (c[name][:, 0].astype(float) for name in ("tile", "tile_h", "tile_w"))
    tiles_h, tiles_w = np.ceil(np.ceil(workload.oh / m) / rows), np.ceil(np.ceil(workload.ow / m) / columns)
    multiplies = (m + workload.kh - 1) ** 2 * tiles_h * rows * tiles_w * columns / (workload.oh * workload.ow)
    out = register_features(c["tile_co"][:, [0, 2, 3]].astype(float), rows * columns, c["tile_ci"][:, 2])
    return {**out, "multiplies": multiplies, "tiles_of_rows": tiles_h, "tiles_in_row": tiles_w}


register(
    target="llvm",
    workload=Conv2d,
    algorithm="winograd",
    space=space,
    schedules={TEMPLATE: "raydgp.templates.llvm.winograd:PackedWinograd"},
    features=features,
    layers=Layers(blocks=blocks, read="tile_ci", written="tile_co", reads_plain=False, stored=stored),
)
