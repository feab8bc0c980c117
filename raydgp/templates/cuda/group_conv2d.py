"""Convolution in groups for CUDA: the meaning of `group_conv2d_space`'s knobs (AutoTVM's schedule)."""

from __future__ import annotations

from typing import Any

import tvm
from tvm import s_tir, te

from raydgp.templates.cuda.tiles import annotate_unroll, bind, fetch, padded_nchw, threads, tile
from raydgp.templates.cuda.unpacked import Unpacked, kernel
from raydgp.templates.epilogue import anchor_of
from raydgp.workloads import GroupConv2d, Workload


class DirectGroupConv2d(Unpacked):
    """data [n, ci, h, w], weight [co, ci / groups, kh, kw] -> [n, co, oh, ow]."""

    def compute(self, workload: Workload, knobs: dict[str, Any]) -> tvm.tirx.PrimFunc:
        """Blocks `pad`, `conv` and `out`."""
        w: GroupConv2d = anchor_of(workload)
        (stride_h, stride_w), (dilation_h, dilation_w) = w.stride, w.dilation
        ci, co = w.ci // w.groups, w.co // w.groups
        data = te.placeholder((w.n, w.ci, w.h, w.w), name="data")
        weight = te.placeholder((w.co, ci, w.kh, w.kw), name="weight")
        pad = padded_nchw(data, w.padding)
        rc, ry, rx = (te.reduce_axis((0, extent), name) for extent, name in ((ci, "rc"), (w.kh, "ry"), (w.kw, "rx")))

        def product(n: Any, f: Any, y: Any, x: Any) -> Any:
            pixel = pad[n, f // co * ci + rc, y * stride_h + ry * dilation_h, x * stride_w + rx * dilation_w]
            return te.sum(pixel * weight[f, rc, ry, rx], axis=[rc, ry, rx])

        conv = te.compute((w.n, w.co, w.oh, w.ow), product, name="conv")
        return kernel(workload, data, weight, conv)

    def apply(self, sch: s_tir.Schedule, workload: Workload, knobs: dict[str, Any]) -> None:
        """Schedules the blocks `pad`, `conv` and `out` of a convolution in groups."""
        conv = sch.get_sblock("conv")
        sch.set_scope(conv, 0, "local")
        copies = [sch.cache_read(conv, operand, "shared") for operand in (0, 1)]
        sch.compute_inline(sch.get_sblock("pad"))

        n, f, y, x, rc, ry, rx = sch.get_loops(conv)
        g, f = sch.split(f, [anchor_of(workload).groups, None])
        spread = (*knobs["tile_g"], 1, 1)  # groups are spread over blocks and virtual threads only
        factors = [knobs["tile_n"], spread, knobs["tile_f"], knobs["tile_y"], knobs["tile_x"]]
        tiles = tile(sch, [n, g, f, y, x], factors)
        splits = [sch.split(loop, knobs[name]) for loop, name in ((rc, "tile_rc"), (ry, "tile_ry"), (rx, "tile_rx"))]
        outer, inner = zip(*splits, strict=True)
        sch.reorder(*outer, *inner, *tiles.inner)

        grid = [tiles.blocks[0], sch.fuse(*tiles.blocks[1:3]), sch.fuse(*tiles.blocks[3:])]
        bind(sch, grid, "blockIdx")
        # TVM takes loops bound to one name for one loop, and has three names: batch, groups and channels share one
        bind(sch, [sch.fuse(*tiles.vthreads[:3]), *tiles.vthreads[3:]], "vthread")
        thread_n, thread_g, thread_f, thread_y, thread_x = tiles.threads
        across_n, _, across_f, across_y, across_x = (factor[2] for factor in factors)
        if knobs["fuse_yx"]:
            block = [thread_n, sch.fuse(thread_g, thread_f), sch.fuse(thread_y, thread_x)]
            counts = [across_n, across_f, across_y * across_x]
        else:
            block = [sch.fuse(thread_n, thread_g, thread_f), thread_y, thread_x]
            counts = [across_n * across_f, across_y, across_x]
        bind(sch, block, "threadIdx")
        sch.reverse_compute_at(sch.get_sblock("out"), block[-1], preserve_unit_loops=True)
        for copy in copies:
            fetch(sch, copy, outer[-1], threads(counts), rank=4)
        annotate_unroll(sch, grid[0], knobs)
        sch.decompose_reduction(conv, outer[0])
