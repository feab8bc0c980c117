"""The CPU space of dense layers with blocked weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raydgp.space import Columns, ConfigSpace, choice, split
from raydgp.targets import Target
from raydgp.templates.llvm.features import register_features, share_features
from raydgp.templates.llvm.registers import (
    MAX_BLOCK,
    Registers,
    even_row,
    output_channels,
    tiles,
    whole_vectors,
    widest_vector,
)
from raydgp.templates.registry import Layers, register
from raydgp.workloads import Dense

TEMPLATE = "llvm.dense_packed.v1"
_MOST_ROWS = 14  # of the default's tile


def space(workload: Dense, target: Target) -> ConfigSpace:
    """Dense layer with blocked weights.

    Knobs:
        tile_m: outputs as (outer, vectors, lanes), of `whole_vectors`; a block is vectors * lanes.
        tile_k: the sum as (outer, unrolled).
        tile_n: rows of the register tile; the last tile may hang over the edge.
        order, parallel, inner: as in `conv2d_space`, over blocks of outputs and tiles of rows.

    The default has blocks of two vectors side by side where enough rows of them fit the registers, else of one, and no
    unrolling.
    """
    m, registers = whole_vectors(workload.m), Registers.of(target)
    lanes = widest_vector(m)
    vectors = 2 if workload.n > 1 and m % (2 * lanes) == 0 and 2 * lanes in registers.blocks else 1
    tile_n = even_row(workload.n, tiles(workload.n, registers.points(vectors * lanes, most=_MOST_ROWS)))
    knobs = [
        output_channels("tile_m", m),
        split("tile_k", workload.k, 2, keep=lambda factors: factors[:, 1] <= MAX_BLOCK),
        choice("tile_n", tiles(workload.n, 28)),
        choice("order", ["m_n", "n_m"]),
        choice("parallel", [1, 2]),
        choice("inner", ["vectors", "points"]),
    ]

    def check(c: Columns) -> NDArray[np.bool_]:
        taken = tile_n * vectors * registers.holding(lanes)
        return registers.fits(c["tile_m"], c["tile_n"][:, 0], c["tile_k"][:, 1], taken)

    default = {
        "tile_m": (m // lanes // vectors, vectors, lanes),
        "tile_k": (workload.k, 1),
        "tile_n": tile_n,
        "order": "m_n",
        "parallel": 2,
        "inner": "vectors",
    }
    return ConfigSpace(workload, target.kind, TEMPLATE, knobs, default, check)


def features(workload: Dense, c: Columns) -> dict[str, NDArray[np.float64]]:
    """Registers of a tile and the share of each thread."""
    block, points = c["tile_m"].astype(float), c["tile_n"][:, 0].astype(float)
    rows = np.ceil(workload.n / points)
    out = register_features(block, points, c["tile_k"][:, 1])
    return out | share_features(c, block[:, 0], rows, c["order"][:, 0] == 0, workload.k)


def _blocks(workload: Dense, given: int, target: Target) -> tuple[int, int]:
    """Plain rows are read; outputs are written in the default's blocks."""
    return 1, widest_vector(whole_vectors(workload.m))


register(
    target="llvm",
    workload=Dense,
    space=space,
    schedules={TEMPLATE: "raydgp.templates.llvm.dense:PackedDense"},
    features=features,
    layers=Layers(blocks=_blocks),
)
