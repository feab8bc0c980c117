"""Winograd's convolution on packed (NCHWc) arrays for CPUs: the meaning of `winograd_space`'s knobs.

A group of tiles goes through all steps while it is cached: B^T d B for every channel, alpha^2 products of matrices over
the input channels, A^T M A, and the epilogue. Each transform is two, along the columns and along the rows of a tile,
unrolled, so that its coefficients are constants and those that are zero cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import tvm
from tvm import s_tir, te, tirx
from tvm.s_tir.schedule import LoopRV, SBlockRV

from raydgp.templates.epilogue import anchor_of, finished
from raydgp.templates.layouts import Layout, in_blocks
from raydgp.templates.llvm.packed import PackedTemplate
from raydgp.templates.llvm.registers import LANES, widest
from raydgp.templates.llvm.tiles import fetch_weights, padded, straight, whole_tiles
from raydgp.templates.llvm.winograd_space import GROUPS
from raydgp.templates.transforms import Matrix, matrices, transformed
from raydgp.workloads import Conv2d, Workload

_POINTS = (0, 1, -1, 2, -2, 0.5, -0.5)  # in pairs of both signs: more zeros in the transforms than with TVM's


class PackedWinograd(PackedTemplate):
    """data [n, ci/a, h, w, a], weight [alpha, alpha, co/b, ci/a, a, b] (transformed) -> [n, co/b, oh, ow, b].

    Of a fused layer also the arrays of its epilogue, blocked like the output.
    """

    def data_layout(self, workload: Workload, knobs: dict[str, Any]) -> Layout:
        conv, (block, _) = anchor_of(workload), _blocks(knobs)
        return in_blocks((conv.n, conv.ci, conv.h, conv.w), -(-conv.ci // block), block)

    def weight_layout(self, workload: Workload, knobs: dict[str, Any]) -> Layout:
        conv, (block_ci, block_co) = anchor_of(workload), _blocks(knobs)
        _, outer_co, *_ = self.out_shape(workload, knobs)
        outer_ci = -(-conv.ci // block_ci)
        whole = Layout().pad((0, outer_co * block_co - conv.co), (0, outer_ci * block_ci - conv.ci), (0, 0), (0, 0))
        _, _, g = transforms(knobs["tile"], conv.kh)
        blocks = transformed(whole, g).reshape(len(g), len(g), outer_ci, block_ci, outer_co, block_co)
        return blocks.transpose(0, 1, 4, 2, 3, 5)

    def out_shape(self, workload: Workload, knobs: dict[str, Any]) -> tuple[int, ...]:
        conv = anchor_of(workload)
        return (conv.n, prod(knobs["tile_co"][:2]), conv.oh, conv.ow, _blocks(knobs)[1])

    def compute(self, workload: Workload, knobs: dict[str, Any]) -> tvm.tirx.PrimFunc:
        """Blocks `pad`, `tile`, `rows`, `transformed`, `product`, `kept`, `columns`, `conv` over whole tiles, `out`."""
        w: Conv2d = anchor_of(workload)
        m = knobs["tile"]
        alpha, (a, b, _) = m + w.kh - 1, transforms(m, w.kh)
        block_ci, block_co = _blocks(knobs)
        shape = self.out_shape(workload, knobs)
        n, outer_co, outer_ci = w.n, shape[1], -(-w.ci // block_ci)
        tiles = -(-w.oh // m), -(-w.ow // m)
        h, w_ = (whole_tiles(count, edge) for count, edge in zip(tiles, _group(knobs, *tiles), strict=True))

        data = te.placeholder((n, outer_ci, w.h, w.w, block_ci), name="data")
        weight = te.placeholder((alpha, alpha, outer_co, outer_ci, block_ci, block_co), name="weight")
        pad = padded(data, w.padding, (n, outer_ci, h * m + w.kh - 1, w_ * m + w.kw - 1, block_ci))
        tile = te.compute(
            (n, outer_ci, h, w_, alpha, alpha, block_ci),
            lambda n, c, y, x, i, j, r: pad[n, c, y * m + i, x * m + j, r],
            name="tile",
        )
        rows = te.compute(
            (n, outer_ci, h, w_, alpha, alpha, block_ci),
            lambda n, c, y, x, e, j, r: _combined(b, e, lambda i: tile[n, c, y, x, i, j, r]),
            name="rows",
        )
        data_tiles = te.compute(
            (n, alpha, alpha, outer_ci, h, w_, block_ci),
            lambda n, e, u, c, y, x, r: _combined(b, u, lambda j: rows[n, c, y, x, e, j, r]),
            name="transformed",
        )
        rc, ra = te.reduce_axis((0, outer_ci), "rc"), te.reduce_axis((0, block_ci), "ra")
        products = (n, alpha, alpha, outer_co, h, w_, block_co)
        product = te.compute(
            products,
            lambda n, e, u, f, y, x, r: te.sum(
                data_tiles[n, e, u, rc, y, x, ra] * weight[e, u, f, rc, ra, r], axis=[rc, ra]
            ),
            name="product",
        )
        kept = te.compute(products, lambda *at: product[at], name="kept")
        columns = te.compute(
            (n, outer_co, h, w_, m, alpha, block_co),
            lambda n, f, y, x, p, u, r: _combined(a, p, lambda e: kept[n, e, u, f, y, x, r]),
            name="columns",
        )
        conv = te.compute(
            (n, outer_co, h * m, w_ * m, block_co),
            lambda n, f, y, x, r: _combined(a, x % m, lambda u: columns[n, f, y // m, x // m, y % m, u, r]),
            name="conv",
        )
        return te.create_prim_func([data, weight, *finished(workload, conv, shape)])

    def apply(self, sch: s_tir.Schedule, knobs: dict[str, Any]) -> None:
        """Schedules the blocks of `compute`, from the last to the first."""
        shared, group = _transform_back(sch, knobs)
        _multiply(sch, knobs, group)
        _transform_data(sch, knobs, shared if knobs["grid"] == "groups" else None)


def transforms(m: int, r: int) -> tuple[Matrix, Matrix, Matrix]:
    """A, B and G of `raydgp.templates.transforms.matrices`, of the points that cost least here."""
    return matrices(m, r, _POINTS[: m + r - 2])


def _blocks(knobs: dict[str, Any]) -> tuple[int, int]:
    """Channels of an input block and of an output block."""
    return prod(knobs["tile_ci"][1:]), prod(knobs["tile_co"][2:])


def _group(knobs: dict[str, Any], rows: int, columns: int) -> tuple[int, int]:
    """Edges of a group, of an output of so many tiles; in tiles."""
    edge_h, edge_w = knobs["tile_h"], knobs["tile_w"]
    if knobs["group"] == "tile":
        return edge_h, edge_w
    height = whole_tiles(rows, edge_h) if knobs["group"] == "all" else GROUPS[knobs["group"]] * edge_h
    return height, whole_tiles(columns, edge_w)


def _combined(coefficients: Matrix, column: Any, term: Callable[[int], Any]) -> Any:
    """sum_i coefficients[i, column] term(i), for a column that is a constant once the loop over it is unrolled."""
    total = tirx.const(0.0, "float32")
    for i, row in enumerate(coefficients):
        factor = tirx.const(float(row[-1]), "float32")
        for place in reversed(range(len(row) - 1)):
            factor = tirx.Select(column == place, tirx.const(float(row[place]), "float32"), factor)
        total = total + term(i) * factor
    return total


def _transform_back(sch: s_tir.Schedule, knobs: dict[str, Any]) -> tuple[LoopRV, LoopRV]:
    """Blocks `conv`, `columns` and `out`: the parallel loop, and the one within which a chunk of a group is done."""
    m, conv, out = knobs["tile"], sch.get_sblock("conv"), sch.get_sblock("out")
    n, f, y, x, b = sch.get_loops(conv)
    y, row = sch.split(y, [None, m])
    x, column = sch.split(x, [None, m])
    group_h, group_w = _group(knobs, *(int(sch.get(loop).extent) for loop in (y, x)))
    group_y, y = sch.split(y, [None, group_h])
    group_x, x = sch.split(x, [None, group_w])
    f, chunk = sch.split(f, [None, knobs["tile_co"][1]])
    vector, lane = sch.split(b, [None, knobs["tile_co"][3]])
    groups = [n, group_y, group_x]
    grid = {"groups": groups, "groups_co": [*groups, f], "co_groups": [f, *groups]}[knobs["grid"]]
    within = [f] if knobs["grid"] == "groups" else []
    sch.reorder(*grid, *within, chunk, y, x, vector, row, column, lane)
    sch.set_scope(conv, 0, "local")
    shared = sch.fuse(*grid)
    sch.reverse_compute_at(out, vector, preserve_unit_loops=True)
    sch.parallel(shared)
    straight(sch, [row, column, lane])
    straight(sch, sch.get_loops(out)[-3:])
    columns = _near(sch, "columns", vector)
    straight(sch, sch.get_loops(columns)[-3:])
    return shared, within[0] if within else shared


def _multiply(sch: s_tir.Schedule, knobs: dict[str, Any], group: LoopRV) -> None:
    """Blocks `kept` and `product`: alpha^2 products for a group and a chunk, tile by tile in registers."""
    lanes, unrolled = knobs["tile_co"][3], knobs["tile_ci"][2]
    kept = sch.get_sblock("kept")
    sch.compute_at(kept, group, preserve_unit_loops=True)
    *around, y, x, b = sch.get_loops(kept)[-7:]
    y, y_point = sch.split(y, [None, knobs["tile_h"]])
    x, x_point = sch.split(x, [None, knobs["tile_w"]])
    vector, lane = sch.split(b, [None, lanes])
    passes = prod(int(sch.get(loop).extent) for loop in (y, x))
    sch.reorder(*around, y, x, y_point, x_point, vector, lane)
    product = _near(sch, "product", x)
    straight(sch, [y_point, x_point, vector, lane])
    y, x, b, rc, ra = sch.get_loops(product)[-5:]
    vector, lane = sch.split(b, [None, lanes])
    ra, ra_unrolled = sch.split(ra, [None, unrolled])
    sch.reorder(rc, ra, ra_unrolled, y, x, vector, lane)
    fetch_weights(sch, ra, knobs["tile_h"] * knobs["tile_w"], passes)
    straight(sch, [ra_unrolled, y, x, vector, lane])
    init = sch.decompose_reduction(product, rc)
    straight(sch, sch.get_loops(init)[-4:])


def _transform_data(sch: s_tir.Schedule, knobs: dict[str, Any], at: LoopRV | None) -> None:
    """Blocks `transformed`, `rows`, `tile` and `pad`: for each group `at` a loop, or in a parallel stage for all."""
    block = sch.get_sblock("transformed")
    if at is not None:
        sch.compute_at(block, at, preserve_unit_loops=True)
    n, e, u, c, y, x, r = sch.get_loops(block)[-7:]
    vector, lane = sch.split(r, [None, widest(_blocks(knobs)[0], LANES)])
    sch.reorder(n, c, y, x, vector, e, u, lane)
    if at is None:
        at = sch.fuse(n, c, y)
        sch.parallel(at)
    straight(sch, [e, u, lane])
    straight(sch, sch.get_loops(_near(sch, "rows", vector))[-3:])
    pad = sch.get_sblock("pad")
    if knobs["pad"] == "inline":
        sch.compute_inline(pad)
        straight(sch, sch.get_loops(_near(sch, "tile", vector))[-3:])
        return
    sch.compute_inline(sch.get_sblock("tile"))
    if knobs["pad"] == "piece":
        sch.compute_at(pad, at)
    loops = sch.get_loops(pad)
    sch.vectorize(loops[-1])
    if knobs["pad"] == "stage":
        sch.parallel(sch.fuse(*loops[:3]))


def _near(sch: s_tir.Schedule, name: str, loop: LoopRV) -> SBlockRV:
    """A block computed into a local array within a loop, just before what reads it."""
    block = sch.get_sblock(name)
    sch.set_scope(block, 0, "local")
    sch.compute_at(block, loop, preserve_unit_loops=True)
    return block
