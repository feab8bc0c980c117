"""Packed (NCHWc) direct convolution for CPUs: the meaning of `conv2d_space`'s knobs."""

from __future__ import annotations

from math import prod
from typing import Any

import tvm
from tvm import s_tir, te

from raydgp.templates.epilogue import anchor_of, finished, reads_plain
from raydgp.templates.layouts import Layout, in_blocks
from raydgp.templates.llvm.packed import PackedTemplate
from raydgp.templates.llvm.tiles import fetch_weights, padded, schedule_pad, sum_in_registers, whole_tiles
from raydgp.workloads import Conv2d, GroupConv2d, Workload


class PackedConv2d(PackedTemplate):
    """data [n, ci/a, h, w, a], weight [co/b, ci/a, kh, kw, a, b] -> [n, co/b, oh, ow, b], co in whole blocks.

    Of a fused layer also the arrays of its epilogue, blocked like the output; its data may be plain [n, ci, h, w]. Of
    groups the knobs are those of one, whose channels are in whole blocks.
    """

    def data_layout(self, workload: Workload, knobs: dict[str, Any]) -> Layout:
        conv, (block, _) = anchor_of(workload), _blocks(knobs)
        if reads_plain(workload):
            return Layout()
        return in_blocks((conv.n, conv.ci, conv.h, conv.w), -(-conv.ci // block), block)

    def weight_layout(self, workload: Workload, knobs: dict[str, Any]) -> Layout:
        conv, (block_ci, block_co) = anchor_of(workload), _blocks(knobs)
        outer_co, ci = conv.convolution_groups * knobs["tile_co"][0], conv.ci // conv.convolution_groups
        outer_ci = -(-ci // block_ci)
        whole = Layout().pad((0, outer_co * block_co - conv.co), (0, outer_ci * block_ci - ci), (0, 0), (0, 0))
        blocks = whole.reshape(outer_co, block_co, outer_ci, block_ci, conv.kh, conv.kw)
        return blocks.transpose(0, 2, 4, 5, 3, 1)

    def out_shape(self, workload: Workload, knobs: dict[str, Any]) -> tuple[int, ...]:
        _, block_co = _blocks(knobs)
        conv = anchor_of(workload)
        return (conv.n, conv.convolution_groups * knobs["tile_co"][0], conv.oh, conv.ow, block_co)

    def compute(self, workload: Workload, knobs: dict[str, Any]) -> tvm.tirx.PrimFunc:
        """Blocks `pad`, `conv` over whole tiles, and `out`, which keeps what lies within the output."""
        w: Conv2d | GroupConv2d = anchor_of(workload)
        block_ci, block_co = _blocks(knobs)
        groups, blocks = w.convolution_groups, knobs["tile_co"][0]  # of output channels, in a group
        outer_co, outer_ci = groups * blocks, -(-w.ci // groups // block_ci)
        (stride_h, stride_w), (dilation_h, dilation_w) = w.stride, w.dilation
        rows, columns = whole_tiles(w.oh, knobs["tile_oh"]), whole_tiles(w.ow, knobs["tile_ow"])
        padded_h = (rows - 1) * stride_h + (w.kh - 1) * dilation_h + 1
        padded_w = (columns - 1) * stride_w + (w.kw - 1) * dilation_w + 1

        plain = reads_plain(workload)
        data = te.placeholder(
            (w.n, w.ci, w.h, w.w) if plain else (w.n, groups * outer_ci, w.h, w.w, block_ci), name="data"
        )
        weight = te.placeholder((outer_co, outer_ci, w.kh, w.kw, block_ci, block_co), name="weight")
        pad = padded(data, w.padding, (w.n, groups * outer_ci, padded_h, padded_w, block_ci))
        rc, ra = te.reduce_axis((0, outer_ci), "rc"), te.reduce_axis((0, block_ci), "ra")
        ry, rx = te.reduce_axis((0, w.kh), "ry"), te.reduce_axis((0, w.kw), "rx")

        def product(n: Any, f: Any, y: Any, x: Any, b: Any) -> Any:
            read = rc if groups == 1 else f // blocks * outer_ci + rc
            pixel = pad[n, read, y * stride_h + ry * dilation_h, x * stride_w + rx * dilation_w, ra]
            return te.sum(pixel * weight[f, rc, ry, rx, ra, b], axis=[rc, ry, rx, ra])

        conv = te.compute((w.n, outer_co, rows, columns, block_co), product, name="conv")
        shape = (w.n, outer_co, w.oh, w.ow, block_co)
        return te.create_prim_func([data, weight, *finished(workload, conv, shape)])

    def apply(self, sch: s_tir.Schedule, knobs: dict[str, Any]) -> None:
        """Schedules the blocks `pad`, `conv` and `out` of a packed convolution."""
        conv = sch.get_sblock("conv")
        if knobs["pad"] == "inline":
            sch.compute_inline(sch.get_sblock("pad"))
        n, f, y, x, b, rc, ry, rx, ra = sch.get_loops(conv)
        slices, middle, inner, unrolled = knobs["tile_ci"]
        y, y_point = sch.split(y, [None, knobs["tile_oh"]])
        x, x_point = sch.split(x, [None, knobs["tile_ow"]])
        vector, lane = sch.split(b, [None, knobs["tile_co"][2]])
        rc_slice, rc = sch.split(rc, [slices, middle])
        ra, ra_unrolled = sch.split(ra, [inner, unrolled])

        first, second = (f, y) if knobs["order"] == "co_oh" else (y, f)
        reduction = [rc, ry, rx] if knobs["reduction"] == "ci_kernel" else [ry, rx, rc]
        points = [y_point, x_point, vector] if knobs["inner"] == "vectors" else [vector, y_point, x_point]
        # with one slice, a tile is finished in its registers; else a row of tiles waits in a local array for the next
        whole = slices == 1
        row = [x, rc_slice] if whole else [rc_slice, x]
        sch.reorder(n, first, second, *row, *reduction, ra, ra_unrolled, *points, lane)
        for loop in [*[rx, ry][: knobs["unroll_kernel"]], ra_unrolled, *points]:
            sch.unroll(loop)
        sch.vectorize(lane)
        passes = prod(int(sch.get(loop).extent) for loop in (n, y, x))
        fetch_weights(sch, ra, knobs["tile_oh"] * knobs["tile_ow"], passes)

        grid = [n, first, second][: 1 + knobs["parallel"]]
        parallel = sum_in_registers(sch, grid, x if whole else second, rc_slice, points=4, whole=whole)
        if knobs["pad"] != "inline":
            schedule_pad(sch, knobs["pad"], parallel)


def _blocks(knobs: dict[str, Any]) -> tuple[int, int]:
    """Channels of an input block and of an output block."""
    return prod(knobs["tile_ci"][2:]), prod(knobs["tile_co"][1:])
