"""The papers' CUDA spaces: AutoTVM's convolutions (direct, depthwise, in groups, Winograd) and dense templates
(facts/papers.md 3.7).

Sizes, feature vectors and index order equal AutoTVM's. Static validity is arithmetic on the limits of the device: for
the 10^8 configurations of a space, TVM's own verifier (61 a second) is the oracle of the tests only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raydgp.errors import InputError
from raydgp.space.base import Columns, ConfigSpace
from raydgp.space.knobs import Knob, choice, split
from raydgp.workloads import Conv2d, Dense, DepthwiseConv2d, Fused, GroupConv2d

_MAX_VTHREADS = 8  # CUDA code generation unrolls virtual threads; AutoTVM's and TVM's verifiers stop at 8
_FLOAT_BYTES = 4


@dataclass(frozen=True)
class Limits:
    """What a device lets a block have. The defaults are those of every NVIDIA GPU since 2012.

    Attributes:
        threads: of a block.
        threads_z: of a block along threadIdx.z; no target says it, and CUDA has known no other.
        shared_bytes: of shared memory of a block, static: what newer devices have beyond 48 KB is to be had as dynamic
            memory only, which the papers' schedules do not use.
        registers: of a block.
        registers_thread: of a thread, of 32 bits; no target says it either.
    """

    threads: int = 1024
    threads_z: int = 64
    shared_bytes: int = 48 * 1024
    registers: int = 64 * 1024
    registers_thread: int = 255

    @classmethod
    def of(cls, target: Mapping[str, Any]) -> Limits:
        """Those that a target's attributes name, the defaults for the others."""
        return cls(
            threads=target.get("max_threads_per_block", cls.threads),
            shared_bytes=min(target.get("max_shared_memory_per_block", cls.shared_bytes), cls.shared_bytes),
            registers=target.get("registers_per_block", cls.registers),
        )

    def hold(self, sums: NDArray[np.int64], threads: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the sums of a thread fit its registers: int64[n] each -> bool[n].

        Where they do not, every product waits for its sum to come from memory and go back, so that the kernel is many
        times slower than its neighbours. In the median layer a third of what could be launched is such.
        """
        return sums <= np.minimum(self.registers_thread, self.registers // np.maximum(threads, 1))


ANY = Limits()


def conv2d(workload: Conv2d, limits: Limits = ANY) -> ConfigSpace:
    """Direct convolution with shared copies of both inputs; 20 features, in the order of the paper's Table 1."""
    knobs = [
        split("tile_f", workload.co, 4),
        split("tile_y", workload.oh, 4),
        split("tile_x", workload.ow, 4),
        split("tile_rc", workload.ci, 2),
        split("tile_ry", workload.kh, 2),
        split("tile_rx", workload.kw, 2),
        *unroll(512),
    ]

    def check(c: Columns) -> NDArray[np.bool_]:
        rc, ry, rx = (c[name][:, 1] for name in ("tile_rc", "tile_ry", "tile_rx"))
        rows = (_tile(c["tile_y"]) - 1) * workload.stride[0] + (ry - 1) * workload.dilation[0] + 1
        columns = (_tile(c["tile_x"]) - 1) * workload.stride[1] + (rx - 1) * workload.dilation[1] + 1
        shared = rc * rows * columns + _tile(c["tile_f"]) * rc * ry * rx
        return _launchable(c, limits) & (shared * _FLOAT_BYTES <= limits.shared_bytes)

    return _space(workload, "cuda.conv2d_nchw.v1", knobs, check)


def depthwise_conv2d(workload: DepthwiseConv2d, limits: Limits = ANY) -> ConfigSpace:
    """Depthwise convolution; 14 features."""
    knobs = [
        split("tile_f", workload.ci, 4),
        split("tile_y", workload.oh, 4),
        split("tile_x", workload.ow, 4),
        *unroll(256),
    ]

    def check(c: Columns) -> NDArray[np.bool_]:
        rows = (_tile(c["tile_y"]) - 1) * workload.stride[0] + (workload.kh - 1) * workload.dilation[0] + 1
        columns = (_tile(c["tile_x"]) - 1) * workload.stride[1] + (workload.kw - 1) * workload.dilation[1] + 1
        shared = _tile(c["tile_f"]) * (rows * columns + workload.kh * workload.kw)
        return _launchable(c, limits) & (shared * _FLOAT_BYTES <= limits.shared_bytes)

    return _space(workload, "cuda.depthwise_conv2d_nchw.v1", knobs, check)


def dense(workload: Dense, limits: Limits = ANY) -> ConfigSpace:
    """Dense layer: below a batch of 32 a block an output, above it tiles with the pruning that AutoTVM intended.

    AutoTVM's own pruning never takes effect, because it also asks for a first factor of tile_k above 2, and first
    factors are stored as -1 (facts/papers.md 0.8). The intended one: of (block, vthread, thread, inner),
    2 <= vthread <= 64, 8 <= thread <= 64 and a tile of 64 or 128, where the extents allow it.
    """
    if workload.n < 32:
        tile_k = split("tile_k", workload.k, 2)
        return _space(workload, "cuda.dense_small_batch.v1", [tile_k], lambda c: c["tile_k"][:, 1] <= limits.threads)
    knobs = [
        split("tile_x", workload.n, 4, keep=_intended),
        split("tile_y", workload.m, 4, keep=_intended),
        split("tile_k", workload.k, 3, keep=lambda factors: factors[:, 0] > 2),
    ]

    def check(c: Columns) -> NDArray[np.bool_]:
        threads = c["tile_x"][:, 2] * c["tile_y"][:, 2]
        vthreads = np.maximum(c["tile_x"][:, 1], c["tile_y"][:, 1])
        depth = c["tile_k"][:, 1] * c["tile_k"][:, 2]
        shared = (_tile(c["tile_x"]) + _tile(c["tile_y"])) * depth * _FLOAT_BYTES
        held = limits.hold(_sums(c["tile_x"], c["tile_y"]), threads)
        return held & (threads <= limits.threads) & (vthreads <= _MAX_VTHREADS) & (shared <= limits.shared_bytes)

    return _space(workload, "cuda.dense_large_batch.v1", knobs, check)


def group_conv2d(workload: GroupConv2d, limits: Limits = ANY) -> ConfigSpace:
    """Convolution in groups, several of which a block may compute in its virtual threads; 27 features."""
    ci, co = workload.ci // workload.groups, workload.co // workload.groups
    knobs = [
        split("tile_n", workload.n, 4),
        split("tile_g", workload.groups, 2),
        split("tile_f", co, 4),
        split("tile_y", workload.oh, 4),
        split("tile_x", workload.ow, 4),
        split("tile_rc", ci, 2),
        split("tile_ry", workload.kh, 2),
        split("tile_rx", workload.kw, 2),
        *unroll(512),
        choice("fuse_yx", [0, 1]),
    ]

    def check(c: Columns) -> NDArray[np.bool_]:
        n, f, y, x = (c[name] for name in ("tile_n", "tile_f", "tile_y", "tile_x"))
        groups = c["tile_g"][:, 1]
        fused = c["fuse_yx"][:, 0] == 1
        threads = n[:, 2] * f[:, 2] * y[:, 2] * x[:, 2]
        threads_z = np.where(fused, n[:, 2], n[:, 2] * f[:, 2])
        vthreads = np.max([n[:, 1] * groups * f[:, 1], y[:, 1], x[:, 1]], axis=0)
        rc, ry, rx = (c[name][:, 1] for name in ("tile_rc", "tile_ry", "tile_rx"))
        rows = (_tile(y) - 1) * workload.stride[0] + (ry - 1) * workload.dilation[0] + 1
        columns = (_tile(x) - 1) * workload.stride[1] + (rx - 1) * workload.dilation[1] + 1
        # a copy spans from the first channel of the first group to the last one of the last group
        data = _tile(n) * ((groups - 1) * ci + rc) * rows * columns
        weight = ((groups - 1) * co + _tile(f)) * rc * ry * rx
        fits = (data + weight) * _FLOAT_BYTES <= limits.shared_bytes
        fits &= limits.hold(groups * _sums(n, f, y, x), threads)
        return fits & (threads <= limits.threads) & (threads_z <= limits.threads_z) & (vthreads <= _MAX_VTHREADS)

    return _space(workload, "cuda.group_conv2d_nchw.v1", knobs, check)


def winograd_tile(workload: Conv2d) -> int:
    """Edge m of the output tile that Winograd's transform gives: 4 where the input's height is whole in 8, else 2."""
    return 4 if workload.h % 8 == 0 else 2


def winograd(workload: Conv2d, limits: Limits = ANY) -> ConfigSpace:
    """Winograd convolution, the weight transformed beforehand: tiles of its alpha^2 matrix products; 16 features.

    Raises:
        InputError: the kernel is not square, or not 3 to 7 wide, or there is a stride or a dilation.
    """
    plain = workload.stride == workload.dilation == (1, 1)
    if not (plain and workload.kh == workload.kw and 2 < workload.kh < 8):
        raise InputError(f"winograd needs a square kernel of 3 to 7, stride 1 and no dilation; {workload} has not")
    m = winograd_tile(workload)
    alpha, tiles = m + workload.kh - 1, workload.n * -(-workload.oh // m) * -(-workload.ow // m)
    knobs = [
        split("tile_b", alpha * alpha, 4, keep=lambda factors: (factors[:, 1:] == 1).all(axis=1)),
        split("tile_y", workload.co, 4),
        split("tile_x", tiles, 4),
        split("tile_rc", workload.ci, 2),
        *unroll(128),
    ]

    def check(c: Columns) -> NDArray[np.bool_]:
        y, x = c["tile_y"], c["tile_x"]
        threads, vthreads = y[:, 2] * x[:, 2], np.maximum(y[:, 1], x[:, 1])
        shared = c["tile_rc"][:, 1] * (_tile(y) + _tile(x)) * _FLOAT_BYTES
        held = limits.hold(_sums(y, x), threads)
        return held & (threads <= limits.threads) & (vthreads <= _MAX_VTHREADS) & (shared <= limits.shared_bytes)

    return _space(workload, "cuda.conv2d_nchw_winograd.v1", knobs, check)


def fused(workload: Fused, limits: Limits = ANY) -> ConfigSpace:
    """The anchor's space: what the epilogue adds to a kernel is done where the kernel writes.

    Raises:
        InputError: the algorithm does not serve the anchor, or the arrays are blocked.
    """
    kind, algorithm = type(workload.anchor), workload.algorithm
    build = SPACES[kind] if algorithm == "direct" else VARIANTS.get((kind, algorithm))
    if build is None or (workload.block_in, workload.block_out) != (1, 1):
        raise InputError(f"no schedule template for {workload} on cuda")
    space: ConfigSpace = build(workload.anchor, limits)
    return space.taken_for(workload)


SPACES: dict[type, Any] = {
    Conv2d: conv2d,
    DepthwiseConv2d: depthwise_conv2d,
    GroupConv2d: group_conv2d,
    Dense: dense,
    Fused: fused,
}
VARIANTS: dict[tuple[type, str], Any] = {(Conv2d, "winograd"): winograd}


def unroll(middle: int) -> list[Knob]:
    return [choice("auto_unroll_max_step", [0, middle, 1500]), choice("unroll_explicit", [0, 1])]


def _tile(factors: NDArray[np.int64]) -> NDArray[np.int64]:
    """Elements a block computes along one axis: int64[n, 4] -> int64[n]."""
    return factors[:, 1] * factors[:, 2] * factors[:, 3]


def _sums(*tiles: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums that a thread keeps, of all its virtual threads: int64[n, 4] for each axis -> int64[n]."""
    return np.prod([factors[:, 1] * factors[:, 3] for factors in tiles], axis=0)


def _launchable(c: Columns, limits: Limits) -> NDArray[np.bool_]:
    f, y, x = c["tile_f"], c["tile_y"], c["tile_x"]
    threads = f[:, 2] * y[:, 2] * x[:, 2]
    vthreads = np.maximum(np.maximum(f[:, 1], y[:, 1]), x[:, 1])
    fits = limits.hold(_sums(f, y, x), threads)
    return fits & (threads <= limits.threads) & (f[:, 2] <= limits.threads_z) & (vthreads <= _MAX_VTHREADS)


def _intended(factors: NDArray[np.int64]) -> NDArray[np.bool_]:
    tile = _tile(factors)
    vthread, thread = factors[:, 1], factors[:, 2]
    return (vthread >= 2) & (vthread <= 64) & (thread >= 8) & (thread <= 64) & ((tile == 64) | (tile == 128))


def _space(workload: Any, template: str, knobs: Sequence[Knob], check: Any) -> ConfigSpace:
    """Builds the space with a default that can run: of the valid ones in a fixed sample, the most parallel."""
    first = {knob.name: knob.labels[0] for knob in knobs}
    space = ConfigSpace(workload, "cuda", template, knobs, first, check)
    space.default = _most_parallel(space)
    return space


def _most_parallel(space: ConfigSpace) -> int:
    """The valid configuration with the thread count nearest to 128, then the largest inner tile, of 4096 draws."""
    pool = space.sample_valid(4096, np.random.default_rng(0))
    if not len(pool):
        return 0
    columns = space.columns(pool)
    splits = [v for v in columns.values() if v.shape[1] == 4] or [columns["tile_k"]]
    threads = np.prod([v[:, 2] if v.shape[1] == 4 else v[:, 1] for v in splits], axis=0)
    inner = np.prod([v[:, -1] for v in splits], axis=0)
    order = np.lexsort((pool, -np.minimum(inner, 16), np.abs(np.log2(threads / 128))))
    return int(pool[order[0]])
