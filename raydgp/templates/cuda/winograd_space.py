"""The CUDA space of Winograd's convolution, the weight transformed beforehand: AutoTVM's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raydgp.errors import InputError
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
    unroll,
)
from raydgp.templates.registry import Layers, register
from raydgp.workloads import Conv2d

TEMPLATE = "cuda.conv2d_nchw_winograd.v1"


def winograd_tile(workload: Conv2d) -> int:
    """Edge m of the output tile that Winograd's transform gives: 4 where the input's height is whole in 8, else 2."""
    return 4 if workload.h % 8 == 0 else 2


def space(workload: Conv2d, target: Target) -> ConfigSpace:
    """Winograd convolution, the weight transformed beforehand: tiles of its alpha^2 matrix products; 16 features.

    Raises:
        InputError: the kernel is not square, or not 3 to 7 wide, or there is a stride or a dilation.
    """
    limits = limits_of(target)
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
        shared = c["tile_rc"][:, 1] * (tile_of(y) + tile_of(x)) * FLOAT_BYTES
        held = hold(limits, sums_of(y, x), threads)
        return held & (threads <= limits.threads) & (vthreads <= MAX_VTHREADS) & (shared <= limits.shared_bytes)

    return space_of(workload, target, TEMPLATE, knobs, check)


register(
    target="cuda",
    workload=Conv2d,
    algorithm="winograd",
    space=space,
    schedules={TEMPLATE: "raydgp.templates.cuda.winograd:WinogradConv2d"},
    features=launch_features,
    layers=Layers(),
)
