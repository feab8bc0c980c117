"""Direct convolution for CUDA: the meaning of `conv2d_space`'s knobs (AutoTVM's conv2d_nchw schedule)."""

from __future__ import annotations

from typing import Any

import tvm
from tvm import s_tir, te

from raydgp.templates.cuda.tiles import annotate_unroll, bind, fetch, padded_nchw, threads, tile
from raydgp.templates.cuda.unpacked import Unpacked, kernel
from raydgp.templates.epilogue import anchor_of
from raydgp.workloads import Conv2d, Workload


class DirectConv2d(Unpacked):
    """data [n, ci, h, w], weight [co, ci, kh, kw] -> [n, co, oh, ow]."""

    def compute(self, workload: Workload, knobs: dict[str, Any]) -> tvm.tirx.PrimFunc:
        """Blocks `pad`, `conv` and `out`."""
        w: Conv2d = anchor_of(workload)
        (stride_h, stride_w), (dilation_h, dilation_w) = w.stride, w.dilation
        data = te.placeholder((w.n, w.ci, w.h, w.w), name="data")
        weight = te.placeholder((w.co, w.ci, w.kh, w.kw), name="weight")
        pad = padded_nchw(data, w.padding)
        rc, ry, rx = (te.reduce_axis((0, extent), name) for extent, name in ((w.ci, "rc"), (w.kh, "ry"), (w.kw, "rx")))

        def product(n: Any, f: Any, y: Any, x: Any) -> Any:
            pixel = pad[n, rc, y * stride_h + ry * dilation_h, x * stride_w + rx * dilation_w]
            return te.sum(pixel * weight[f, rc, ry, rx], axis=[rc, ry, rx])

        conv = te.compute((w.n, w.co, w.oh, w.ow), product, name="conv")
        return kernel(workload, data, weight, conv)

    def apply(self, sch: s_tir.Schedule, workload: Workload, knobs: dict[str, Any]) -> None:
        """Schedules the blocks `pad`, `conv` and `out` of a direct convolution."""
        conv = sch.get_sblock("conv")
        sch.set_scope(conv, 0, "local")
        copies = [sch.cache_read(conv, operand, "shared") for operand in (0, 1)]
        sch.compute_inline(sch.get_sblock("pad"))  # after the copies, so that the padding test lands in the shared one

        n, f, y, x, rc, ry, rx = sch.get_loops(conv)
        factors = [knobs["tile_f"], knobs["tile_y"], knobs["tile_x"]]
        tiles = tile(sch, [f, y, x], factors)
        outer, inner = zip(
            *(sch.split(loop, knobs[name]) for loop, name in ((rc, "tile_rc"), (ry, "tile_ry"), (rx, "tile_rx"))),
            strict=True,
        )
        sch.reorder(*outer, *inner, *tiles.inner)
        grid = [sch.fuse(n, tiles.blocks[0]), *tiles.blocks[1:]]
        bind(sch, grid, "blockIdx")
        bind(sch, tiles.vthreads, "vthread")
        bind(sch, tiles.threads, "threadIdx")
        sch.reverse_compute_at(sch.get_sblock("out"), tiles.threads[-1], preserve_unit_loops=True)
        for copy in copies:
            fetch(sch, copy, outer[-1], threads([factor[2] for factor in factors]), rank=4, contiguous=True)
        annotate_unroll(sch, grid[0], knobs)
        sch.decompose_reduction(conv, outer[0])
