"""Depthwise convolution for CUDA: the meaning of `depthwise_space`'s knobs (AutoTVM's schedule)."""

from __future__ import annotations

from typing import Any

import tvm
from tvm import s_tir, te

from raydgp.templates.cuda.tiles import annotate_unroll, bind, fetch, padded_nchw, threads, tile
from raydgp.templates.cuda.unpacked import Unpacked, kernel
from raydgp.templates.epilogue import anchor_of
from raydgp.workloads import DepthwiseConv2d, Workload


class DirectDepthwiseConv2d(Unpacked):
    """data [n, ci, h, w], weight [ci, 1, kh, kw] -> [n, ci, oh, ow]."""

    def compute(self, workload: Workload, knobs: dict[str, Any]) -> tvm.tirx.PrimFunc:
        """Blocks `pad`, `conv` and `out`."""
        w: DepthwiseConv2d = anchor_of(workload)
        (stride_h, stride_w), (dilation_h, dilation_w) = w.stride, w.dilation
        data = te.placeholder((w.n, w.ci, w.h, w.w), name="data")
        weight = te.placeholder((w.ci, 1, w.kh, w.kw), name="weight")
        pad = padded_nchw(data, w.padding)
        ry, rx = te.reduce_axis((0, w.kh), "ry"), te.reduce_axis((0, w.kw), "rx")

        def product(n: Any, c: Any, y: Any, x: Any) -> Any:
            pixel = pad[n, c, y * stride_h + ry * dilation_h, x * stride_w + rx * dilation_w]
            return te.sum(pixel * weight[c, 0, ry, rx], axis=[ry, rx])

        conv = te.compute((w.n, w.ci, w.oh, w.ow), product, name="conv")
        return kernel(workload, data, weight, conv)

    def apply(self, sch: s_tir.Schedule, workload: Workload, knobs: dict[str, Any]) -> None:
        """Schedules the blocks of `compute`: a block's inputs are copied to shared memory, then to registers."""
        conv = sch.get_sblock("conv")
        sch.set_scope(conv, 0, "local")
        shared = [sch.cache_read(conv, operand, "shared") for operand in (0, 1)]
        local = [sch.cache_read(conv, operand, "local") for operand in (0, 1)]
        sch.compute_inline(sch.get_sblock("pad"))

        n, c, y, x, ry, _ = sch.get_loops(conv)
        factors = [knobs["tile_f"], knobs["tile_y"], knobs["tile_x"]]
        tiles = tile(sch, [c, y, x], factors)
        grid = [sch.fuse(n, tiles.blocks[0]), *tiles.blocks[1:]]
        bind(sch, grid, "blockIdx")
        bind(sch, tiles.vthreads, "vthread")
        bind(sch, tiles.threads, "threadIdx")
        sch.reverse_compute_at(sch.get_sblock("out"), tiles.threads[-1], preserve_unit_loops=True)
        for copy in local:
            sch.compute_at(copy, tiles.threads[-1], preserve_unit_loops=True)
        for copy in shared:
            fetch(sch, copy, grid[-1], threads([factor[2] for factor in factors]), rank=4)
        annotate_unroll(sch, grid[0], knobs)
        sch.decompose_reduction(conv, ry)
