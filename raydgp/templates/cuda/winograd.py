"""Winograd convolution for CUDA: the meaning of `winograd_space`'s knobs (AutoTVM's schedule).

Tiles of the input and the weight are transformed (Lavin and Gray, 2016), multiplied in alpha^2 independent matrix
products over the input channels, and transformed back. The weight is transformed beforehand, by its layout.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import s_tir, te
from tvm.s_tir.schedule import LoopRV
from tvm.topi.utils import const_matrix

from raydgp.templates.cuda.tiles import annotate_unroll, bind, fetch, padded_nchw, threads, tile
from raydgp.templates.cuda.unpacked import Unpacked, kernel
from raydgp.templates.cuda.winograd_space import winograd_tile
from raydgp.templates.epilogue import anchor_of
from raydgp.templates.layouts import Layout
from raydgp.templates.transforms import matrices, transformed
from raydgp.workloads import Conv2d, Workload

_TRANSFORM_THREADS = 128


class WinogradConv2d(Unpacked):
    """data [n, ci, h, w], weight [alpha, alpha, ci, co] (transformed) -> [n, co, oh, ow]."""

    def weight_layout(self, workload: Workload) -> Layout:
        conv = anchor_of(workload)
        _, _, g = matrices(winograd_tile(conv), conv.kh)
        return transformed(Layout(), g)

    def compute(self, workload: Workload, knobs: dict[str, Any]) -> tvm.tirx.PrimFunc:
        """Blocks `pad`, `input_tile`, `data_half`, `data_pack`, `bgemm`, `inverse_half`, `inverse`, `conv` and `out`.

        And two of constants. A transform multiplies from one side, then from the other, for a third of the products.
        """
        w: Conv2d = anchor_of(workload)
        m, r = winograd_tile(w), w.kh
        alpha, rows, columns = m + r - 1, -(-w.oh // m), -(-w.ow // m)
        tiles = w.n * rows * columns
        a, b, _ = matrices(m, r)
        to_back, to_data = const_matrix(a.astype(np.float32), "to_back"), const_matrix(b.astype(np.float32), "to_data")
        data = te.placeholder((w.n, w.ci, w.h, w.w), name="data")
        weight = te.placeholder((alpha, alpha, w.ci, w.co), name="weight")
        beyond = (rows * m - w.oh, columns * m - w.ow)  # what fills the last tiles
        pad = padded_nchw(data, w.padding, beyond)

        def pixel(c: Any, p: Any, e: Any, u: Any) -> Any:
            return pad[p // (rows * columns), c, p // columns % rows * m + e, p % columns * m + u]

        input_tile = te.compute((w.ci, tiles, alpha, alpha), pixel, name="input_tile")
        ra, rb = te.reduce_axis((0, alpha), "ra"), te.reduce_axis((0, alpha), "rb")
        data_half = te.compute(
            (w.ci, tiles, alpha, alpha),
            lambda c, p, e, u: te.sum(input_tile[c, p, ra, u] * to_data[ra, e], axis=ra),
            name="data_half",
        )
        data_pack = te.compute(
            (alpha, alpha, w.ci, tiles),
            lambda e, u, c, p: te.sum(data_half[c, p, e, rb] * to_data[rb, u], axis=rb),
            name="data_pack",
        )
        rc = te.reduce_axis((0, w.ci), "rc")
        bgemm = te.compute(
            (alpha, alpha, w.co, tiles),
            lambda e, u, f, p: te.sum(weight[e, u, rc, f] * data_pack[e, u, rc, p], axis=rc),
            name="bgemm",
        )
        sa, sb = te.reduce_axis((0, alpha), "sa"), te.reduce_axis((0, alpha), "sb")
        inverse_half = te.compute(
            (w.co, tiles, m, alpha),
            lambda f, p, y, u: te.sum(bgemm[sa, u, f, p] * to_back[sa, y], axis=sa),
            name="inverse_half",
        )
        inverse = te.compute(
            (w.co, tiles, m, m),
            lambda f, p, y, x: te.sum(inverse_half[f, p, y, sb] * to_back[sb, x], axis=sb),
            name="inverse",
        )
        conv = te.compute(
            (w.n, w.co, w.oh, w.ow),
            lambda n, f, y, x: inverse[f, n * rows * columns + y // m * columns + x // m, y % m, x % m],
            name="conv",
        )
        return kernel(workload, data, weight, conv)

    def apply(self, sch: s_tir.Schedule, workload: Workload, knobs: dict[str, Any]) -> None:
        for block in ("to_data", "to_back", "conv"):
            sch.compute_inline(sch.get_sblock(block))
        _transform_data(sch)
        _multiply(sch, knobs)
        _transform_back(sch, winograd_tile(anchor_of(workload)))


def _transform_data(sch: s_tir.Schedule) -> None:
    """A thread an input tile of a channel."""
    pack = sch.get_sblock("data_pack")
    write = sch.cache_write(pack, 0, "local")
    tiles, half = sch.get_sblock("input_tile"), sch.get_sblock("data_half")
    sch.compute_inline(sch.get_sblock("pad"))
    e, u, c, p, rb = sch.get_loops(pack)
    sch.reorder(c, p, e, u, rb)
    block, thread = sch.split(sch.fuse(c, p), [None, _TRANSFORM_THREADS])
    sch.bind(block, "blockIdx.x")
    sch.bind(thread, "threadIdx.x")
    for before in (half, tiles):
        sch.set_scope(before, 0, "local")
        sch.compute_at(before, thread)
    sch.reverse_compute_at(write, thread)
    for block in (tiles, half, pack, write):
        _unroll(sch, sch.get_loops(block)[2:])
    sch.decompose_reduction(half, sch.get_loops(half)[2])
    sch.decompose_reduction(pack, e)


def _multiply(sch: s_tir.Schedule, knobs: dict[str, Any]) -> None:
    """alpha^2 products of matrices, each tiled over blocks, with slices of both factors in shared memory."""
    bgemm = sch.get_sblock("bgemm")
    write = sch.cache_write(bgemm, 0, "local")
    copies = [sch.cache_read(bgemm, operand, "shared") for operand in (0, 1)]
    e, u, f, p, rc = sch.get_loops(bgemm)
    factors = [knobs["tile_b"], knobs["tile_y"], knobs["tile_x"]]
    tiles = tile(sch, [sch.fuse(e, u), f, p], factors)
    outer, inner = sch.split(rc, knobs["tile_rc"])
    sch.reorder(outer, inner, *tiles.inner)
    bind(sch, tiles.blocks, "blockIdx")
    bind(sch, tiles.vthreads, "vthread")
    bind(sch, tiles.threads, "threadIdx")
    sch.reverse_compute_at(write, tiles.threads[-1], preserve_unit_loops=True)
    for copy in copies:
        fetch(sch, copy, outer, threads([factor[2] for factor in factors]), rank=4)
    annotate_unroll(sch, tiles.blocks[0], knobs)
    sch.decompose_reduction(bgemm, outer)


def _transform_back(sch: s_tir.Schedule, m: int) -> None:
    """A thread a tile of the output."""
    out, inverse, half = (sch.get_sblock(name) for name in ("out", "inverse", "inverse_half"))
    n, f, y, x = sch.get_loops(out)
    y, y_inner = sch.split(y, [None, m])
    x, x_inner = sch.split(x, [None, m])
    sch.reorder(n, f, y, x, y_inner, x_inner)
    block, thread = sch.split(sch.fuse(n, f, y, x), [None, _TRANSFORM_THREADS])
    sch.bind(block, "blockIdx.x")
    sch.bind(thread, "threadIdx.x")
    for before in (inverse, half):
        sch.set_scope(before, 0, "local")
        sch.compute_at(before, thread)
    for block in (half, inverse, out):
        _unroll(sch, sch.get_loops(block)[2:])


def _unroll(sch: s_tir.Schedule, loops: list[LoopRV]) -> None:
    """Unrolled, so that every entry of a transform is a constant where it is used, and every index of a register."""
    for loop in loops:
        sch.unroll(loop)
