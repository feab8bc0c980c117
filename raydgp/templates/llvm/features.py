"""What configurations of the CPU templates mean for the machine; see `raydgp.templates.columns`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raydgp.space import Columns
from raydgp.templates.llvm.registers import LANES
from raydgp.workloads.ops import Convolution

Vector = NDArray[np.float64]
_THREADS = 2  # an even share among two threads is one among none, and the first that can be uneven


@dataclass(frozen=True, eq=False)
class Window:
    """A convolution's register tiles, of n configurations.

    Attributes:
        block: float64[n, 3], output channels as (outer, vectors, lanes).
        unrolled: [n], terms of the sum unrolled in the body.
        channels: input channels that an output sums.
        slices: float64[n], parts of the sum over channels that run one after the other.
        read_channels: float64[n], input channels that a tile reads in a slice.
    """

    workload: Convolution
    block: Vector
    unrolled: NDArray[np.int64]
    channels: int
    slices: Vector
    read_channels: Vector


def window_features(window: Window, c: Columns) -> dict[str, Vector]:
    """Registers and cache of a tile, the share of each thread, waste: columns of n values."""
    workload, block, slices = window.workload, window.block, window.slices
    rows, columns = c["tile_oh"][:, 0].astype(float), c["tile_ow"][:, 0].astype(float)
    kernel = workload.kh * workload.kw
    tiles_h, tiles_w = np.ceil(workload.oh / rows), np.ceil(workload.ow / columns)
    read_rows = (rows - 1) * workload.stride[0] + workload.kh
    read_columns = (columns - 1) * workload.stride[1] + workload.kw
    out = register_features(block, rows * columns, window.unrolled)
    out |= share_features(c, block[:, 0], tiles_h, c["order"][:, 0] == 0, kernel * window.channels / slices)
    out["waste"] = tiles_h * rows * tiles_w * columns / (workload.oh * workload.ow)
    out["tiles_in_row"] = tiles_w
    out["slices"] = slices
    out["read_by_tile"] = read_rows * read_columns * window.read_channels
    out["read_by_row"] = read_rows * (workload.w + 2 * workload.padding[1]) * window.read_channels
    out["weights"] = block[:, 1] * block[:, 2] * kernel * window.channels / slices
    return out


def register_features(block: Vector, points: Vector, unrolled: NDArray[np.int64]) -> dict[str, Vector]:
    """What one register tile holds: block [n, 3] as (outer, vectors, lanes), points [n], terms unrolled [n]."""
    vectors = block[:, 1] * np.ceil(block[:, 2] / LANES)
    return {
        "vectors": vectors,
        "points": points,
        "accumulators": vectors * points,
        "body": vectors * points * unrolled,
        "multiplies_per_load": vectors * points / (vectors + points),
    }


def share_features(
    c: Columns, blocks: Vector, rows: Vector, blocks_first: NDArray[np.bool_], terms: ArrayLike
) -> dict[str, Vector]:
    """How the parallel loop divides: blocks and rows of tiles [n], which is outermost, terms of the sum in a slice."""
    shared = np.where(c["parallel"][:, 0] == 2, blocks * rows, np.where(blocks_first, blocks, rows)).astype(float)
    even = np.ceil(shared / _THREADS) * _THREADS / shared
    return {"shared": shared, "imbalance": even, "terms": np.broadcast_to(np.asarray(terms, float), shared.shape)}
