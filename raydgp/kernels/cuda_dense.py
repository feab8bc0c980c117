"""Dense layers for CUDA: the meaning of the knobs of `space.cuda.dense` (AutoTVM's two schedules)."""

from __future__ import annotations

from typing import Any

import tvm
from tvm import s_tir, te

from raydgp.kernels.cuda_tiles import bind, fetch, threads, tile
from raydgp.kernels.cuda_unpacked import Unpacked
from raydgp.workloads import Dense


class SmallBatchDense(Unpacked):
    """data [n, k], weight [m, k] -> [n, m]: a block an output, its threads share the sum."""

    def schedule(self, workload: Dense, knobs: dict[str, Any], target: dict[str, Any]) -> tvm.IRModule:
        sch = s_tir.Schedule(_compute(workload), debug_mask=0, error_render_level="none")
        apply_small(sch, knobs)
        return sch.mod


class LargeBatchDense(Unpacked):
    """data [n, k], weight [m, k] -> [n, m]: a block a tile of outputs."""

    def schedule(self, workload: Dense, knobs: dict[str, Any], target: dict[str, Any]) -> tvm.IRModule:
        sch = s_tir.Schedule(_compute(workload), debug_mask=0, error_render_level="none")
        apply_large(sch, knobs)
        return sch.mod


def _compute(w: Dense) -> tvm.tirx.PrimFunc:
    """Block `dense`."""
    data = te.placeholder((w.n, w.k), name="data")
    weight = te.placeholder((w.m, w.k), name="weight")
    k = te.reduce_axis((0, w.k), "k")
    dense = te.compute((w.n, w.m), lambda i, j: te.sum(data[i, k] * weight[j, k], axis=k), name="dense")
    return te.create_prim_func([data, weight, dense])


def apply_small(sch: s_tir.Schedule, knobs: dict[str, Any]) -> None:
    """Schedules block `dense`: each thread sums every so many products, then all threads add up their sums."""
    i, j, k = sch.get_loops(sch.get_sblock("dense"))
    _, thread = sch.split(k, knobs["tile_k"])
    partial = sch.rfactor(thread, factor_axis=2)
    total = sch.get_sblock("dense")
    i, j, thread = sch.get_loops(total)
    sch.compute_at(partial, thread, preserve_unit_loops=True)
    sch.set_scope(partial, 0, "local")
    bind(sch, [i, j], "blockIdx")
    sch.bind(thread, "threadIdx.x")
    sch.decompose_reduction(partial, sch.get_loops(partial)[-1])


def apply_large(sch: s_tir.Schedule, knobs: dict[str, Any]) -> None:
    """Schedules block `dense`: a block's inputs are copied to shared memory in slices, then to registers."""
    dense = sch.get_sblock("dense")
    write = sch.cache_write(dense, 0, "local")
    shared = [sch.cache_read(dense, operand, "shared") for operand in (0, 1)]
    local = [sch.cache_read(dense, operand, "local") for operand in (0, 1)]

    i, j, k = sch.get_loops(dense)
    factors = [knobs["tile_y"], knobs["tile_x"]]
    tiles = tile(sch, [j, i], factors)
    slices, steps, depth = sch.split(k, knobs["tile_k"])
    sch.reorder(slices, steps, depth, *tiles.inner)
    bind(sch, tiles.blocks, "blockIdx")
    bind(sch, tiles.vthreads, "vthread")
    bind(sch, tiles.threads, "threadIdx")
    sch.reverse_compute_at(write, tiles.threads[-1], preserve_unit_loops=True)
    for copy in local:
        sch.compute_at(copy, steps, preserve_unit_loops=True)
    for copy in shared:
        fetch(sch, copy, slices, threads([factor[2] for factor in factors]), rank=2)
    sch.decompose_reduction(dense, slices)
