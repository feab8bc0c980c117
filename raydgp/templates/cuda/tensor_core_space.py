"""Spaces of matrix products on tensor cores: dense layers, and convolutions as implicit products (Conv2d, Dense).

A convolution is the product of a matrix of pixels [n * oh * ow, kh * kw * ci], which is never stored, and the weight
[co, kh * kw * ci] transposed (cuDNN's implicit GEMM: Chetlur et al., 2014). Both are float16, the sums float32: the
result is that of the inputs rounded to float16, of which each product is exact in float32.

Unlike the papers' spaces the tiles need not divide the matrices: what a block computes beyond them is zeros.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raydgp.errors import InputError
from raydgp.space.base import Columns, ConfigSpace
from raydgp.space.knobs import Knob, choice
from raydgp.targets import Target
from raydgp.templates.cuda.launch import hold, limits_of, unroll
from raydgp.templates.registry import register
from raydgp.workloads import Conv2d, Dense

ALGORITHM = "tensor_core"
FRAGMENT = 16  # edge of the matrices that a warp multiplies at once
WARP = 32  # threads
COPY = 8  # float16 in the widest copy of a thread, 16 bytes: channels are filled up to whole ones
_FIRST_ARCH = 70
_HALF_BYTES = 2


def as_conv2d(workload: Conv2d | Dense) -> Conv2d:
    """The convolution that a workload is: a dense layer is one of single pixels."""
    if isinstance(workload, Conv2d):
        return workload
    return Conv2d(n=workload.n, ci=workload.k, h=1, w=1, co=workload.m, kh=1, kw=1)


def channels(conv: Conv2d) -> int:
    """Input channels with those that fill the last copy."""
    return -(-conv.ci // COPY) * COPY


def space(workload: Conv2d | Dense, target: Target) -> ConfigSpace:
    """The product's tiles, in fragments of 16 x 16; 12 features.

    Knobs:
        tile_m, tile_n: rows (pixels) and columns (output channels) as (blocks, warps of a block, fragments of a warp).
        tile_k: the sum as (slices, fragments of a slice); a block copies a slice of both matrices to shared memory.
        vector: float16 that a thread copies at once.
        offset: float16 between the rows of a slice in shared memory, which spread them over the memory's banks.
        auto_unroll_max_step, unroll_explicit: as of the other templates.

    Raises:
        InputError: the target is older than tensor cores.
    """
    require_tensor_cores(target)
    limits, conv = limits_of(target), as_conv2d(workload)
    rows, columns, depth = conv.n * conv.oh * conv.ow, conv.co, conv.kh * conv.kw * channels(conv)
    knobs = [
        _tiles("tile_m", rows, [(warps, fragments) for warps in (1, 2, 4, 8) for fragments in (1, 2, 4)]),
        _tiles("tile_n", columns, [(warps, fragments) for warps in (1, 2, 4, 8) for fragments in (1, 2, 4)]),
        _tiles("tile_k", depth, [(fragments,) for fragments in (1, 2, 4, 8)]),
        choice("vector", [1, 2, 4, 8]),
        choice("offset", [0, 8, 16]),
        *unroll(512),
    ]

    def check(c: Columns) -> NDArray[np.bool_]:
        m, n = c["tile_m"], c["tile_n"]
        shared = FRAGMENT * (m[:, 1] * m[:, 2] + n[:, 1] * n[:, 2]) * (FRAGMENT * c["tile_k"][:, 1] + c["offset"][:, 0])
        fits = shared * _HALF_BYTES <= limits.shared_bytes
        threads = WARP * m[:, 1] * n[:, 1]
        fits &= hold(limits, FRAGMENT * FRAGMENT // WARP * m[:, 2] * n[:, 2], threads)
        return fits & (threads <= limits.threads) & (m[:, 1] <= limits.threads_z)

    first = {knob.name: knob.labels[0] for knob in knobs}
    made = ConfigSpace(workload, target.kind, f"cuda.{workload.op}_tensor_core.v1", knobs, first, check)
    made.default = _usual(made)
    return made


def require_tensor_cores(target: Target) -> None:
    """Refuses a target that has none; one that names no architecture may have them.

    Raises:
        InputError: the target is older than tensor cores.
    """
    arch = target.architecture
    digits = "".join(filter(str.isdigit, arch))
    if digits and int(digits) < _FIRST_ARCH:
        raise InputError(f"{ALGORITHM} needs a GPU of sm_{_FIRST_ARCH} or newer, not {arch}; take algorithm 'direct'")


def features(workload: Conv2d | Dense, c: Columns) -> dict[str, NDArray[np.float64]]:
    """What a launch, a block and a warp amount to; work in fragments, memory in float16: columns of n values."""
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


def _tiles(name: str, extent: int, parts: list[tuple[int, ...]]) -> Knob:
    """The tiles in fragments that do not hang over the edge by more than all the fragments there are."""
    total = -(-extent // FRAGMENT)
    tiles = [(-(-total // int(np.prod(part))), *part) for part in parts if np.prod(part) < 2 * total]
    return Knob(name, np.array(tiles, np.int64), tuple(tiles))


def _usual(space: ConfigSpace) -> int:
    """The valid configuration nearest to four warps that compute 64 x 64 from slices of 32, with the widest copies.

    Several such blocks fit every GPU with tensor cores at a time.
    """
    pool = np.arange(space.size)
    pool = pool[space.valid(pool)]
    c = space.columns(pool)
    m, n = c["tile_m"], c["tile_n"]
    order = np.lexsort(
        (
            c["unroll_explicit"][:, 0],
            np.abs(c["auto_unroll_max_step"][:, 0] - 512),
            np.abs(c["offset"][:, 0] - 8),
            -c["vector"][:, 0],
            np.abs(c["tile_k"][:, 1] - 2),
            _doublings(m[:, 1] / 2) + _doublings(n[:, 1] / 2),
            _doublings(m[:, 1] * m[:, 2] / 4) + _doublings(n[:, 1] * n[:, 2] / 4),
        )
    )
    return int(pool[order[0]]) if len(pool) else 0


def _doublings(ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.abs(np.log2(ratio))


for _operator in (Conv2d, Dense):
    register(
        target="cuda",
        workload=_operator,
        algorithm=ALGORITHM,
        space=space,
        schedules={f"cuda.{_operator.op}_tensor_core.v1": "raydgp.templates.cuda.tensor_core:TensorCore"},
        features=features,
    )
