"""What the CUDA spaces share: unrolling, limits of a launch, the default, and what a launch means for the machine.

Sizes, feature vectors and index order of the papers' spaces equal AutoTVM's (docs/facts.md, AutoTVM CUDA templates).
Static validity is arithmetic on the limits of the device: for the 10^8 configurations of a space, TVM's own verifier
(61 a second) is the oracle of the tests only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from raydgp.space import Columns, ConfigSpace, Knob, choice
from raydgp.targets import Limits, Target
from raydgp.workloads import Workload

MAX_VTHREADS = 8  # CUDA code generation unrolls virtual threads; AutoTVM's and TVM's verifiers stop at 8
FLOAT_BYTES = 4


def unroll(middle: int) -> list[Knob]:
    """The two knobs of unrolling, as AutoTVM has them."""
    return [choice("auto_unroll_max_step", [0, middle, 1500]), choice("unroll_explicit", [0, 1])]


def limits_of(target: Target) -> Limits:
    """What a block may have on a target; what every GPU allows where the target does not say."""
    return target.limits or Limits()


def hold(limits: Limits, sums: NDArray[np.int64], threads: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the sums of a thread fit its registers: int64[n] each -> bool[n].

    Where they do not, every product waits for its sum to come from memory and go back, so that the kernel is many times
    slower than its neighbours. In the median layer a third of what could be launched is such.
    """
    return sums <= np.minimum(limits.registers_thread, limits.registers // np.maximum(threads, 1))


def tile_of(factors: NDArray[np.int64]) -> NDArray[np.int64]:
    """Elements a block computes along one axis: int64[n, 4] -> int64[n]."""
    return factors[:, 1] * factors[:, 2] * factors[:, 3]


def sums_of(*tiles: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums that a thread keeps, of all its virtual threads: int64[n, 4] for each axis -> int64[n]."""
    return np.prod([factors[:, 1] * factors[:, 3] for factors in tiles], axis=0)


def launchable(c: Columns, limits: Limits) -> NDArray[np.bool_]:
    """Whether a GPU can launch blocks of these tiles: knob values of n configurations -> bool[n]."""
    f, y, x = c["tile_f"], c["tile_y"], c["tile_x"]
    threads = f[:, 2] * y[:, 2] * x[:, 2]
    vthreads = np.maximum(np.maximum(f[:, 1], y[:, 1]), x[:, 1])
    fits = hold(limits, sums_of(f, y, x), threads)
    return fits & (threads <= limits.threads) & (f[:, 2] <= limits.threads_z) & (vthreads <= MAX_VTHREADS)


def space_of(
    workload: Workload,
    target: Target,
    template: str,
    knobs: Sequence[Knob],
    check: Callable[[Columns], NDArray[np.bool_]],
) -> ConfigSpace:
    """Builds the space with a default that can run: of the valid ones in a fixed sample, the most parallel."""
    first = {knob.name: knob.labels[0] for knob in knobs}
    space = ConfigSpace(workload, target.kind, template, knobs, first, check)
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


def launch_features(workload: Workload, c: Columns) -> dict[str, NDArray[np.float64]]:
    """What a launch and a thread amount to, by the splits into (block, vthread, thread, inner): columns of n values."""
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
