"""What a configuration means for the machine, beside its knobs: sizes that compare across layers.

The papers' models see the knobs alone, and a tile of 7 x 4 means one thing in one layer and another in the next. These
columns, all positive, say what is common to all layers: registers and cache that a tile takes, how evenly the threads
share the work, how much of it is waste, and the shape of the layer itself. Ours, not the papers'; `dgp+` learns from
them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raydgp.space.base import Columns, ConfigSpace
from raydgp.templates.cuda.tensor_core_space import FRAGMENT
from raydgp.templates.llvm.registers import LANES
from raydgp.workloads import Conv2d, Dense, DepthwiseConv2d, Fused

_Vector = NDArray[np.float64]
_THREADS = 2  # an even share among two threads is one among none, and the first that can be uneven


def machine_features(space: ConfigSpace, indices: ArrayLike) -> tuple[list[str], NDArray[np.float32]]:
    """Features with these columns after them: int64[n] -> names [d], float32[n, d].

    The names are the same for all spaces of a template. A template that is not known here adds the shape alone.
    """
    columns = space.columns(indices)
    n = len(next(iter(columns.values())))
    workload = space.workload.anchor if isinstance(space.workload, Fused) else space.workload
    derived = {"llvm": _llvm, "cuda": _cuda}[space.target](workload, columns)
    added = {name: np.full(n, float(value)) for name, value in _shape(workload).items()} | derived
    names = [*space.feature_names, *added]
    return names, np.column_stack([space.features(indices), *added.values()]).astype(np.float32)


def _shape(workload: object) -> dict[str, float]:
    if isinstance(workload, Conv2d | DepthwiseConv2d):
        co = workload.co if isinstance(workload, Conv2d) else workload.ci
        shape = {"ci": workload.ci, "co": co, "oh": workload.oh, "ow": workload.ow, "batch": workload.n}
        return {**shape, "kernel": workload.kh * workload.kw, "stride": workload.stride[0], "flops": workload.flops}
    if isinstance(workload, Dense):
        return {"n": workload.n, "k": workload.k, "m": workload.m}
    return {}


def _llvm(workload: object, c: Columns) -> dict[str, _Vector]:
    if isinstance(workload, Dense):
        block, points, reduction = c["tile_m"].astype(float), c["tile_n"][:, 0].astype(float), workload.k
        unrolled, tiles = c["tile_k"][:, 1], np.ceil(workload.n / points)
        return _registers(block, points, unrolled) | _shares(c, block[:, 0], tiles, c["order"][:, 0] == 0, reduction)
    if not isinstance(workload, Conv2d | DepthwiseConv2d):
        return {}
    if "tile" in c:
        return _winograd(workload, c)
    is_conv = isinstance(workload, Conv2d)
    block = c["tile_co" if is_conv else "tile_c"].astype(float)
    rows, columns = c["tile_oh"][:, 0].astype(float), c["tile_ow"][:, 0].astype(float)
    kernel, channels = workload.kh * workload.kw, workload.ci if is_conv else 1
    slices = c["tile_ci"][:, 0].astype(float) if is_conv else np.ones(len(rows))
    unrolled = np.array([1, workload.kw, kernel])[c["unroll_kernel"][:, 0]]
    if is_conv:
        unrolled = unrolled * c["tile_ci"][:, 3]
    tiles_h, tiles_w = np.ceil(workload.oh / rows), np.ceil(workload.ow / columns)
    read_rows = (rows - 1) * workload.stride[0] + workload.kh
    read_columns = (columns - 1) * workload.stride[1] + workload.kw
    read_channels = (channels if is_conv else block[:, 1] * block[:, 2]) / slices
    out = _registers(block, rows * columns, unrolled)
    out |= _shares(c, block[:, 0], tiles_h, c["order"][:, 0] == 0, kernel * channels / slices)
    out["waste"] = tiles_h * rows * tiles_w * columns / (workload.oh * workload.ow)
    out["tiles_in_row"] = tiles_w
    out["slices"] = slices
    out["read_by_tile"] = read_rows * read_columns * read_channels
    out["read_by_row"] = read_rows * (workload.w + 2 * workload.padding[1]) * read_channels
    out["weights"] = block[:, 1] * block[:, 2] * kernel * channels / slices
    return out


def _winograd(workload: Conv2d | DepthwiseConv2d, c: Columns) -> dict[str, _Vector]:
    m, rows, columns = (c[name][:, 0].astype(float) for name in ("tile", "tile_h", "tile_w"))
    tiles_h, tiles_w = np.ceil(np.ceil(workload.oh / m) / rows), np.ceil(np.ceil(workload.ow / m) / columns)
    multiplies = (m + workload.kh - 1) ** 2 * tiles_h * rows * tiles_w * columns / (workload.oh * workload.ow)
    out = _registers(c["tile_co"][:, [0, 2, 3]].astype(float), rows * columns, c["tile_ci"][:, 2])
    return {**out, "multiplies": multiplies, "tiles_of_rows": tiles_h, "tiles_in_row": tiles_w}


def _registers(block: _Vector, points: _Vector, unrolled: NDArray) -> dict[str, _Vector]:
    """Of one register tile: block [n, 3] as (outer, vectors, lanes), points [n], unrolled terms of the sum [n]."""
    vectors = block[:, 1] * np.ceil(block[:, 2] / LANES)
    return {
        "vectors": vectors,
        "points": points,
        "accumulators": vectors * points,
        "body": vectors * points * unrolled,
        "multiplies_per_load": vectors * points / (vectors + points),
    }


def _shares(
    c: Columns, blocks: _Vector, rows: _Vector, blocks_first: NDArray[np.bool_], terms: object
) -> dict[str, _Vector]:
    """How the parallel loop divides: blocks and rows of tiles [n], which is outermost, terms of the sum in a slice."""
    shared = np.where(c["parallel"][:, 0] == 2, blocks * rows, np.where(blocks_first, blocks, rows)).astype(float)
    even = np.ceil(shared / _THREADS) * _THREADS / shared
    return {"shared": shared, "imbalance": even, "terms": np.broadcast_to(np.asarray(terms, float), shared.shape)}


def _cuda(workload: object, c: Columns) -> dict[str, _Vector]:
    """Of the splits into (block, vthread, thread, inner): what a launch and a thread amount to."""
    if "tile_m" in c and isinstance(workload, Conv2d | Dense):
        return _tensor_cores(workload, c)
    splits = [value.astype(float) for value in c.values() if value.shape[1] == 4]
    if not splits:
        return {}
    blocks, vthreads, threads, inner = np.prod(splits, axis=0).T
    depths = [value[:, -1].astype(float) for name, value in c.items() if value.shape[1] in (2, 3) and name != "tile_g"]
    depth = np.prod(depths, axis=0) if depths else np.ones(len(blocks))
    return {
        "blocks": blocks,
        "threads": threads,
        "warps": np.ceil(threads / 32) * 32 / threads,
        "outputs_of_thread": vthreads * inner,
        "outputs_of_block": vthreads * threads * inner,
        "depth": depth,
        "body": vthreads * inner * depth,
    }


def _tensor_cores(workload: Conv2d | Dense, c: Columns) -> dict[str, _Vector]:
    """What a launch, a block and a warp amount to; work in fragments, memory in float16."""
    m, n, k = (c[name].astype(float) for name in ("tile_m", "tile_n", "tile_k"))
    products = np.prod(np.concatenate([m, n, k], axis=1), axis=1)
    return {
        "blocks": m[:, 0] * n[:, 0],
        "warps": m[:, 1] * n[:, 1],
        "accumulators": m[:, 2] * n[:, 2],
        "multiplies_per_load": m[:, 2] * n[:, 2] / (m[:, 2] + n[:, 2]),
        "shared": FRAGMENT * (m[:, 1] * m[:, 2] + n[:, 1] * n[:, 2]) * (FRAGMENT * k[:, 1] + c["offset"][:, 0]),
        "body": m[:, 2] * n[:, 2] * k[:, 1],
        "waste": 2 * FRAGMENT**3 * products / workload.flops,
    }
