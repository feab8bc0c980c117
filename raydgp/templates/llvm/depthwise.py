"""Packed depthwise convolution for CPUs: the meaning of `depthwise_space`'s knobs."""

from __future__ import annotations

from math import prod
from typing import Any

import tvm
from tvm import s_tir, te

from raydgp.templates.epilogue import anchor_of, finished
from raydgp.templates.layouts import Layout, in_blocks
from raydgp.templates.llvm.packed import PackedTemplate
from raydgp.templates.llvm.tiles import padded, schedule_pad, sum_in_registers, whole_tiles
from raydgp.workloads import DepthwiseConv2d, Workload


class PackedDepthwiseConv2d(PackedTemplate):
    """data [n, c/b, h, w, b], weight [c/b, kh, kw, b] -> [n, c/b, oh, ow, b].

    Of a fused layer also the arrays of its epilogue, blocked like the output.
    """

    def data_layout(self, workload: Workload, knobs: dict[str, Any]) -> Layout:
        conv = anchor_of(workload)
        return in_blocks((conv.n, conv.ci, conv.h, conv.w), knobs["tile_c"][0], _block(knobs))

    def weight_layout(self, workload: Workload, knobs: dict[str, Any]) -> Layout:
        conv = anchor_of(workload)
        outer, block = knobs["tile_c"][0], _block(knobs)
        whole = Layout().pad((0, outer * block - conv.ci), (0, 0), (0, 0), (0, 0))
        return whole.reshape(outer, block, conv.kh, conv.kw).transpose(0, 2, 3, 1)

    def out_shape(self, workload: Workload, knobs: dict[str, Any]) -> tuple[int, ...]:
        conv = anchor_of(workload)
        return (conv.n, knobs["tile_c"][0], conv.oh, conv.ow, _block(knobs))

    def compute(self, workload: Workload, knobs: dict[str, Any]) -> tvm.tirx.PrimFunc:
        """Blocks `pad`, `conv` over whole tiles, and `out`, which keeps what lies within the output."""
        w: DepthwiseConv2d = anchor_of(workload)
        outer, block = knobs["tile_c"][0], _block(knobs)
        (stride_h, stride_w), (dilation_h, dilation_w) = w.stride, w.dilation
        rows, columns = whole_tiles(w.oh, knobs["tile_oh"]), whole_tiles(w.ow, knobs["tile_ow"])
        padded_h = (rows - 1) * stride_h + (w.kh - 1) * dilation_h + 1
        padded_w = (columns - 1) * stride_w + (w.kw - 1) * dilation_w + 1

        data = te.placeholder((w.n, outer, w.h, w.w, block), name="data")
        weight = te.placeholder((outer, w.kh, w.kw, block), name="weight")
        pad = padded(data, w.padding, (w.n, outer, padded_h, padded_w, block))
        ry, rx = te.reduce_axis((0, w.kh), "ry"), te.reduce_axis((0, w.kw), "rx")

        def product(n: Any, c: Any, y: Any, x: Any, b: Any) -> Any:
            pixel = pad[n, c, y * stride_h + ry * dilation_h, x * stride_w + rx * dilation_w, b]
            return te.sum(pixel * weight[c, ry, rx, b], axis=[ry, rx])

        conv = te.compute((w.n, outer, rows, columns, block), product, name="conv")
        return te.create_prim_func([data, weight, *finished(workload, conv, (w.n, outer, w.oh, w.ow, block))])

    def apply(self, sch: s_tir.Schedule, knobs: dict[str, Any]) -> None:
        """Schedules the blocks `pad`, `conv` and `out` of a packed depthwise convolution."""
        if knobs["pad"] == "inline":
            sch.compute_inline(sch.get_sblock("pad"))
        n, c, y, x, b, ry, rx = sch.get_loops(sch.get_sblock("conv"))
        y, y_point = sch.split(y, [None, knobs["tile_oh"]])
        x, x_point = sch.split(x, [None, knobs["tile_ow"]])
        vector, lane = sch.split(b, [None, knobs["tile_c"][2]])

        first, second = (c, y) if knobs["order"] == "c_oh" else (y, c)
        reduction = [ry, rx] if knobs["reduction"] == "ry_rx" else [rx, ry]
        points = [y_point, x_point, vector] if knobs["inner"] == "vectors" else [vector, y_point, x_point]
        sch.reorder(n, first, second, x, *reduction, *points, lane)
        for loop in reduction[2 - knobs["unroll_kernel"] :] + points:
            sch.unroll(loop)
        sch.vectorize(lane)

        parallel = sum_in_registers(sch, [n, first, second][: 1 + knobs["parallel"]], x, reduction[0], points=4)
        if knobs["pad"] != "inline":
            schedule_pad(sch, knobs["pad"], parallel)


def _block(knobs: dict[str, Any]) -> int:
    return prod(knobs["tile_c"][1:])
