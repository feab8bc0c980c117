"""The CUDA spaces of dense layers, of small batches and of large ones: AutoTVM's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raydgp.space import Columns, ConfigSpace, split
from raydgp.targets import Target
from raydgp.templates.cuda.launch import (
    FLOAT_BYTES,
    MAX_VTHREADS,
    hold,
    launch_features,
    limits_of,
    space_of,
    sums_of,
    tile_of,
)
from raydgp.templates.registry import Layers, register
from raydgp.workloads import Dense

SMALL_BATCH = "cuda.dense_small_batch.v1"
LARGE_BATCH = "cuda.dense_large_batch.v1"


def space(workload: Dense, target: Target) -> ConfigSpace:
    """Dense layer: below a batch of 32 a block an output, above it tiles with the pruning that AutoTVM intended.

    AutoTVM's own pruning never takes effect, because it also asks for a first factor of tile_k above 2, and first
    factors are stored as -1 (docs/facts.md, AutoTVM CUDA templates). The intended one: of (block, vthread, thread,
    inner), 2 <= vthread <= 64, 8 <= thread <= 64 and a tile of 64 or 128, where the extents allow it.
    """
    limits = limits_of(target)
    if workload.n < 32:
        tile_k = split("tile_k", workload.k, 2)
        return space_of(workload, target, SMALL_BATCH, [tile_k], lambda c: c["tile_k"][:, 1] <= limits.threads)
    knobs = [
        split("tile_x", workload.n, 4, keep=_intended),
        split("tile_y", workload.m, 4, keep=_intended),
        split("tile_k", workload.k, 3, keep=lambda factors: factors[:, 0] > 2),
    ]

    def check(c: Columns) -> NDArray[np.bool_]:
        threads = c["tile_x"][:, 2] * c["tile_y"][:, 2]
        vthreads = np.maximum(c["tile_x"][:, 1], c["tile_y"][:, 1])
        depth = c["tile_k"][:, 1] * c["tile_k"][:, 2]
        shared = (tile_of(c["tile_x"]) + tile_of(c["tile_y"])) * depth * FLOAT_BYTES
        held = hold(limits, sums_of(c["tile_x"], c["tile_y"]), threads)
        return held & (threads <= limits.threads) & (vthreads <= MAX_VTHREADS) & (shared <= limits.shared_bytes)

    return space_of(workload, target, LARGE_BATCH, knobs, check)


def _intended(factors: NDArray[np.int64]) -> NDArray[np.bool_]:
    tile = tile_of(factors)
    vthread, thread = factors[:, 1], factors[:, 2]
    return (vthread >= 2) & (vthread <= 64) & (thread >= 8) & (thread <= 64) & ((tile == 64) | (tile == 128))


register(
    target="cuda",
    workload=Dense,
    space=space,
    schedules={
        SMALL_BATCH: "raydgp.templates.cuda.dense:SmallBatchDense",
        LARGE_BATCH: "raydgp.templates.cuda.dense:LargeBatchDense",
    },
    features=launch_features,
    layers=Layers(),
)
