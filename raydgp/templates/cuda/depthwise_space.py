"""The CUDA space of depthwise convolutions: AutoTVM's, of the papers' tables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raydgp.space import Columns, ConfigSpace, split
from raydgp.targets import Target
from raydgp.templates.cuda.launch import FLOAT_BYTES, launch_features, launchable, limits_of, space_of, tile_of, unroll
from raydgp.templates.registry import Layers, register
from raydgp.workloads import DepthwiseConv2d

TEMPLATE = "cuda.depthwise_conv2d_nchw.v1"


def space(workload: DepthwiseConv2d, target: Target) -> ConfigSpace:
    """Depthwise convolution; 14 features."""
    limits = limits_of(target)
    knobs = [
        split("tile_f", workload.ci, 4),
        split("tile_y", workload.oh, 4),
        split("tile_x", workload.ow, 4),
        *unroll(256),
    ]

    def check(c: Columns) -> NDArray[np.bool_]:
        rows = (tile_of(c["tile_y"]) - 1) * workload.stride[0] + (workload.kh - 1) * workload.dilation[0] + 1
        columns = (tile_of(c["tile_x"]) - 1) * workload.stride[1] + (workload.kw - 1) * workload.dilation[1] + 1
        shared = tile_of(c["tile_f"]) * (rows * columns + workload.kh * workload.kw)
        return launchable(c, limits) & (shared * FLOAT_BYTES <= limits.shared_bytes)

    return space_of(workload, target, TEMPLATE, knobs, check)


register(
    target="cuda",
    workload=DepthwiseConv2d,
    space=space,
    schedules={TEMPLATE: "raydgp.templates.cuda.depthwise:DirectDepthwiseConv2d"},
    features=launch_features,
    layers=Layers(),
)
