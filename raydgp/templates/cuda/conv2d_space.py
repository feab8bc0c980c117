"""The CUDA space of direct convolutions: AutoTVM's, of the papers' tables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raydgp.space import Columns, ConfigSpace, split
from raydgp.targets import Target
from raydgp.templates.cuda.launch import FLOAT_BYTES, launch_features, launchable, limits_of, space_of, tile_of, unroll
from raydgp.templates.registry import Layers, register
from raydgp.workloads import Conv2d

TEMPLATE = "cuda.conv2d_nchw.v1"


def space(workload: Conv2d, target: Target) -> ConfigSpace:
    """Direct convolution with shared copies of both inputs; 20 features, in the order of the paper's Table 1."""
    limits = limits_of(target)
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
        rows = (tile_of(c["tile_y"]) - 1) * workload.stride[0] + (ry - 1) * workload.dilation[0] + 1
        columns = (tile_of(c["tile_x"]) - 1) * workload.stride[1] + (rx - 1) * workload.dilation[1] + 1
        shared = rc * rows * columns + tile_of(c["tile_f"]) * rc * ry * rx
        return launchable(c, limits) & (shared * FLOAT_BYTES <= limits.shared_bytes)

    return space_of(workload, target, TEMPLATE, knobs, check)


register(
    target="cuda",
    workload=Conv2d,
    space=space,
    schedules={TEMPLATE: "raydgp.templates.cuda.conv2d:DirectConv2d"},
    features=launch_features,
    layers=Layers(),
)
