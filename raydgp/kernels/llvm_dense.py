"""Dense layer with blocked weights for CPUs: the meaning of `space.llvm.dense`'s knobs."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import tvm
from tvm import s_tir, te

from raydgp.kernels.llvm_tiles import sum_in_registers, whole_tiles
from raydgp.kernels.packing import Array, fill
from raydgp.workloads import Dense


class PackedDense:
    """data [n, k], weight [m/b, k, b] -> [n, m/b, b], m in whole blocks."""

    def schedule(self, workload: Dense, knobs: dict[str, Any], target: dict[str, Any]) -> tvm.IRModule:
        sch = s_tir.Schedule(_compute(workload, knobs), debug_mask=0, error_render_level="none")
        apply(sch, knobs)
        return sch.mod

    def pack(self, workload: Dense, knobs: dict[str, Any], inputs: tuple[Array, ...]) -> list[Array]:
        data, weight = inputs
        outer, block = knobs["tile_m"][0], _block(knobs)
        blocks = fill(weight, outer * block).reshape(outer, block, workload.k).transpose(0, 2, 1)
        return [np.ascontiguousarray(data), np.ascontiguousarray(blocks)]

    def out_shape(self, workload: Dense, knobs: dict[str, Any]) -> tuple[int, ...]:
        return (workload.n, knobs["tile_m"][0], _block(knobs))

    def unpack(self, workload: Dense, knobs: dict[str, Any], out: Array) -> Array:
        return np.ascontiguousarray(out.reshape(workload.n, -1)[:, : workload.m])


def _block(knobs: dict[str, Any]) -> int:
    return prod(knobs["tile_m"][1:])


def _compute(w: Dense, knobs: dict[str, Any]) -> tvm.tirx.PrimFunc:
    """Blocks `pad`, `conv` over whole tiles, and `out`, which keeps what lies within the output."""
    outer, block = knobs["tile_m"][0], _block(knobs)
    rows = whole_tiles(w.n, knobs["tile_n"])
    data = te.placeholder((w.n, w.k), name="data")
    weight = te.placeholder((outer, w.k, block), name="weight")
    pad = te.compute((rows, w.k), lambda n, k: te.if_then_else(n < w.n, data[n, k], 0.0), name="pad")
    k = te.reduce_axis((0, w.k), "k")
    conv = te.compute((rows, outer, block), lambda n, f, b: te.sum(pad[n, k] * weight[f, k, b], axis=k), name="conv")
    out = te.compute((w.n, outer, block), lambda *i: conv[i], name="out")
    return te.create_prim_func([data, weight, out])


def apply(sch: s_tir.Schedule, knobs: dict[str, Any]) -> None:
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
    sum_in_registers(sch, [first, second][: knobs["parallel"]], second, k, points=3)
