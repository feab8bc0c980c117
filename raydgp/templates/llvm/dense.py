"""Dense layer with blocked weights for CPUs: the meaning of `dense_space`'s knobs."""

from __future__ import annotations

from math import prod
from typing import Any

import tvm
from tvm import s_tir, te

from raydgp.templates.epilogue import anchor_of, finished
from raydgp.templates.layouts import Layout
from raydgp.templates.llvm.packed import PackedTemplate
from raydgp.templates.llvm.tiles import fetch_weights, sum_in_registers, whole_tiles
from raydgp.workloads import Dense, Workload


class PackedDense(PackedTemplate):
    """data [n, k], weight [m/b, k, b] -> [n, m/b, b], m in whole blocks.

    Of a fused layer also the arrays of its epilogue, blocked like the output.
    """

    def data_layout(self, workload: Workload, knobs: dict[str, Any]) -> Layout:
        return Layout()

    def weight_layout(self, workload: Workload, knobs: dict[str, Any]) -> Layout:
        dense, outer, block = anchor_of(workload), knobs["tile_m"][0], _block(knobs)
        whole = Layout().pad((0, outer * block - dense.m), (0, 0))
        return whole.reshape(outer, block, dense.k).transpose(0, 2, 1)

    def out_shape(self, workload: Workload, knobs: dict[str, Any]) -> tuple[int, ...]:
        return (anchor_of(workload).n, knobs["tile_m"][0], _block(knobs))

    def compute(self, workload: Workload, knobs: dict[str, Any]) -> tvm.tirx.PrimFunc:
        """Blocks `pad`, `conv` over whole tiles, and `out`, which keeps what lies within the output."""
        w: Dense = anchor_of(workload)
        outer, block = knobs["tile_m"][0], _block(knobs)
        rows = whole_tiles(w.n, knobs["tile_n"])
        data = te.placeholder((w.n, w.k), name="data")
        weight = te.placeholder((outer, w.k, block), name="weight")
        pad = te.compute((rows, w.k), lambda n, k: te.if_then_else(n < w.n, data[n, k], 0.0), name="pad")
        k = te.reduce_axis((0, w.k), "k")
        shape = (rows, outer, block)
        conv = te.compute(shape, lambda n, f, b: te.sum(pad[n, k] * weight[f, k, b], axis=k), name="conv")
        return te.create_prim_func([data, weight, *finished(workload, conv, (w.n, outer, block))])

    def apply(self, sch: s_tir.Schedule, knobs: dict[str, Any]) -> None:
        """Schedules the blocks `pad`, `conv` and `out` of a dense layer."""
        sch.compute_inline(sch.get_sblock("pad"))
        n, f, b, k = sch.get_loops(sch.get_sblock("conv"))
        n, row = sch.split(n, [None, knobs["tile_n"]])
        vector, lane = sch.split(b, [None, knobs["tile_m"][2]])
        k, k_unrolled = sch.split(k, [None, knobs["tile_k"][1]])

        first, second = (f, n) if knobs["order"] == "m_n" else (n, f)
        points = [row, vector] if knobs["inner"] == "vectors" else [vector, row]
        sch.reorder(first, second, k, k_unrolled, *points, lane)
        for loop in [k_unrolled, *points]:
            sch.unroll(loop)
        sch.vectorize(lane)
        fetch_weights(sch, k, knobs["tile_n"], int(sch.get(n).extent))
        sum_in_registers(sch, [first, second][: knobs["parallel"]], second, k, points=3)


def _block(knobs: dict[str, Any]) -> int:
    return prod(knobs["tile_m"][1:])
