"""The CPU space of convolutions in groups on channel-blocked arrays: that of one group, for all of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raydgp.errors import InputError
from raydgp.space import Columns, ConfigSpace
from raydgp.targets import Target
from raydgp.templates.llvm.conv2d_space import packed_space
from raydgp.templates.llvm.features import Window, window_features
from raydgp.templates.llvm.registers import HALF, Registers, whole_vectors
from raydgp.templates.registry import Layers, register
from raydgp.workloads import Conv2d, GroupConv2d

TEMPLATE = "llvm.group_conv2d_nchwc.v1"


def space(workload: GroupConv2d, target: Target) -> ConfigSpace:
    """Packed convolution in groups; knobs and default as in `conv2d_space`, of the channels of one group.

    Raises:
        InputError: a group's channels, read or written, fill no whole blocks of 8.
    """
    one = _one(workload)
    if one.ci % HALF or one.co % HALF or whole_vectors(one.co) != one.co:
        raise InputError(f"no schedule template for {workload} on {target.kind}: its groups are no blocks of {HALF}")
    return packed_space(workload, one, target, TEMPLATE)


def features(workload: GroupConv2d, c: Columns) -> dict[str, NDArray[np.float64]]:
    """Registers and cache of a tile, the share of each thread, waste."""
    one, kernel = _one(workload), workload.kh * workload.kw
    slices, block = c["tile_ci"][:, 0].astype(float), c["tile_co"].astype(float) * [workload.groups, 1, 1]
    unrolled = np.array([1, workload.kw, kernel])[c["unroll_kernel"][:, 0]] * c["tile_ci"][:, 3]
    return window_features(Window(workload, block, unrolled, one.ci, slices, one.ci / slices), c)


def blocks(workload: GroupConv2d, given: int, target: Target) -> tuple[int, int]:
    """Blocks of the data as they come, where groups have whole ones; else, as of the output, the widest that fit."""
    one, widths = _one(workload), Registers.of(target).blocks
    read, written = (next((b for b in widths if channels % b == 0), 1) for channels in (one.ci, one.co))
    return given if given > 1 and one.ci % given == 0 else read, written


def _one(workload: GroupConv2d) -> Conv2d:
    """The convolution of a group."""
    shared = {key: getattr(workload, key) for key in ("n", "h", "w", "kh", "kw", "stride", "padding", "dilation")}
    return Conv2d(ci=workload.ci // workload.groups, co=workload.co // workload.groups, **shared)


register(
    target="llvm",
    workload=GroupConv2d,
    space=space,
    schedules={TEMPLATE: "raydgp.templates.llvm.conv2d:PackedConv2d"},
    features=features,
    layers=Layers(blocks=blocks, read="tile_ci", written="tile_co"),
)
