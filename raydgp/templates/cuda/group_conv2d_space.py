"""The CUDA space of convolutions in groups: AutoTVM's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raydgp.space import Columns, ConfigSpace, choice, split
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
from raydgp.workloads import GroupConv2d

TEMPLATE = "cuda.group_conv2d_nchw.v1"


def space(workload: GroupConv2d, target: Target) -> ConfigSpace:
    """Convolution in groups, several of which a block may compute in its virtual threads; 27 features."""
    limits = limits_of(target)
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
        rows = (tile_of(y) - 1) * workload.stride[0] + (ry - 1) * workload.dilation[0] + 1
        columns = (tile_of(x) - 1) * workload.stride[1] + (rx - 1) * workload.dilation[1] + 1
        # a copy spans from the first channel of the first group to the last one of the last group
        data = tile_of(n) * ((groups - 1) * ci + rc) * rows * columns
        weight = ((groups - 1) * co + tile_of(f)) * rc * ry * rx
        fits = (data + weight) * FLOAT_BYTES <= limits.shared_bytes
        fits &= hold(limits, groups * sums_of(n, f, y, x), threads)
        return fits & (threads <= limits.threads) & (threads_z <= limits.threads_z) & (vthreads <= MAX_VTHREADS)

    return space_of(workload, target, TEMPLATE, knobs, check)


register(
    target="cuda",
    workload=GroupConv2d,
    space=space,
    schedules={TEMPLATE: "raydgp.templates.cuda.group_conv2d:DirectGroupConv2d"},
    features=launch_features,
    layers=Layers(),
)
