"""Dense layers for CUDA: the meaning of `dense_space`'s knobs (AutoTVM's two schedules)."""

from __future__ import annotations

from typing import Any

import tvm
from tvm import s_tir, te

from raydgp.templates.cuda.tiles import bind, fetch, threads, tile
from raydgp.templates.cuda.unpacked import Unpacked, kernel
from raydgp.templates.epilogue import anchor_of
from raydgp.workloads import Dense, Workload


class _Dense(Unpacked):
    """data [n, k], weight [m, k] -> [n, m]."""

    def compute(self, workload: Workload, knobs: dict[str, Any]) -> tvm.tirx.PrimFunc:
        """Blocks `dense` and `out`."""
        w: Dense = anchor_of(workload)
        data = te.placeholder((w.n, w.k), name="data")
        weight = te.placeholder((w.m, w.k), name="weight")
        k = te.reduce_axis((0, w.k), "k")
        dense = te.compute((w.n, w.m), lambda i, j: te.sum(data[i, k] * weight[j, k], axis=k), name="dense")
        return kernel(workload, data, weight, dense)


class SmallBatchDense(_Dense):
    """A block an output, its threads share the sum."""

    def apply(self, sch: s_tir.Schedule, workload: Workload, knobs: dict[str, Any]) -> None:
        """Schedules the blocks of `compute`: a thread sums every so many products, then all threads add up theirs."""
        i, j, k = sch.get_loops(sch.get_sblock("dense"))
        _, thread = sch.split(k, knobs["tile_k"])
        partial = sch.rfactor(thread, factor_axis=2)
        total = sch.get_sblock("dense")
        i, j, thread = sch.get_loops(total)
        sch.compute_at(partial, thread, preserve_unit_loops=True)
        sch.set_scope(partial, 0, "local")
        bind(sch, [i, j], "blockIdx")
        sch.bind(thread, "threadIdx.x")
        out = sch.get_sblock("out")
        sch.set_scope(total, 0, "shared")
        sch.reverse_compute_at(out, j, preserve_unit_loops=True)
        _, first = sch.split(sch.get_loops(out)[-1], [None, knobs["tile_k"][1]])  # one of the threads writes
        sch.bind(first, "threadIdx.x")
        sch.decompose_reduction(partial, sch.get_loops(partial)[-1])


class LargeBatchDense(_Dense):
    """A block a tile of outputs."""

    def apply(self, sch: s_tir.Schedule, workload: Workload, knobs: dict[str, Any]) -> None:
        """Schedules the blocks of `compute`: inputs are copied to shared memory in slices, then to registers."""
        dense = sch.get_sblock("dense")
        sch.set_scope(dense, 0, "local")
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
        sch.reverse_compute_at(sch.get_sblock("out"), tiles.threads[-1], preserve_unit_loops=True)
        for copy in local:
            sch.compute_at(copy, steps, preserve_unit_loops=True)
        for copy in shared:
            fetch(sch, copy, slices, threads([factor[2] for factor in factors]), rank=2)
        sch.decompose_reduction(dense, slices)
