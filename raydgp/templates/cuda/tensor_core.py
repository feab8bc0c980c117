"""Matrix products on tensor cores for CUDA: the meaning of `tensor_core_space`'s knobs.

A convolution is an implicit matrix product: a block gathers its rows of the matrix of pixels while it copies them to
shared memory, zeros where there is none.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import tvm
from tvm import s_tir, te
from tvm.s_tir.schedule import LoopRV, SBlockRV

from raydgp.targets import Target
from raydgp.templates.base import LaidOut
from raydgp.templates.cuda import wmma
from raydgp.templates.cuda.tensor_core_space import COPY, FRAGMENT, WARP, as_conv2d, channels, require_tensor_cores
from raydgp.templates.cuda.tiles import annotate_unroll, bind, keep_rolled
from raydgp.templates.layouts import Array, Layout
from raydgp.workloads import Conv2d, Dense


class TensorCore(LaidOut):
    """data [n, h, w, c], weight [N, K] of float16 -> [M, N]: c is ci in whole copies, M, N, K are whole tiles.

    Of a dense layer h and w are 1. The sum runs over kh, kw and c, in this order. What fills the last tiles is zero in
    the weight, and in the output is dropped by its layout. Inputs above 65 504, the largest float16, become infinite.

    Products of float16 are exact in float32. What is left of an error is the order of the sum and how tensor cores
    round it, towards zero (Fasi et al., 2021): simulated, 3e-5 of the largest output for sums of 4608 and 2e-4 for sums
    of 25 088 standard normal products, below the tolerance of a measurement.
    """

    def schedule(self, workload: Conv2d | Dense, knobs: dict[str, Any], target: Target) -> tvm.IRModule:
        require_tensor_cores(target)
        wmma.register()
        sch = s_tir.Schedule(_compute(as_conv2d(workload), knobs), debug_mask=0, error_render_level="none")
        apply(sch, knobs)
        return sch.mod

    def rounded(self, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        return tuple(array.astype(np.float16).astype(np.float32) for array in inputs)

    def layouts(self, workload: Conv2d | Dense, knobs: dict[str, Any]) -> list[Layout]:
        conv = as_conv2d(workload)
        c, (_, columns, depth) = channels(conv), _extents(knobs)
        data = _channels_last((conv.n, conv.ci, conv.h, conv.w), c)
        weight = _channels_last((conv.co, conv.ci, conv.kh, conv.kw), c).reshape(conv.co, conv.kh * conv.kw * c)
        return [data, weight.pad((0, columns - conv.co), (0, depth - conv.kh * conv.kw * c))]

    def out_shape(self, workload: Conv2d | Dense, knobs: dict[str, Any]) -> tuple[int, ...]:
        return _extents(knobs)[:2]

    def out_layout(self, workload: Conv2d | Dense, knobs: dict[str, Any]) -> Layout:
        conv = as_conv2d(workload)
        matrix = Layout().slice((0, conv.n * conv.oh * conv.ow), (0, conv.co))
        if isinstance(workload, Dense):
            return matrix
        return matrix.reshape(conv.n, conv.oh, conv.ow, conv.co).transpose(0, 3, 1, 2)


def _extents(knobs: dict[str, Any]) -> tuple[int, int, int]:
    """M, N and K: rows, columns and length of the sum, in whole tiles."""
    m, n, k = (FRAGMENT * prod(knobs[name]) for name in ("tile_m", "tile_n", "tile_k"))
    return m, n, k


def _channels_last(shape: tuple[int, int, int, int], whole: int) -> Layout:
    """An array that has the elements of [a, c, h, w] -> [a, h, w, whole] of float16, zeros behind the channels."""
    rows = Layout().reshape(*shape).transpose(0, 2, 3, 1)
    return rows.pad((0, 0), (0, 0), (0, 0), (0, whole - shape[1])).astype("float16")


def _compute(w: Conv2d, knobs: dict[str, Any]) -> tvm.tirx.PrimFunc:
    """Blocks `pixels` [M, K / copy, copy], by whole copies, and `product` [M, N]."""
    rows, columns, depth = _extents(knobs)
    c = channels(w)
    data = te.placeholder((w.n, w.h, w.w, c), "float16", name="data")
    weight = te.placeholder((columns, depth), "float16", name="weight")
    copies = c // COPY

    def pixel(m: Any, k: Any, lane: Any) -> Any:
        """Where it is depends on the copy alone: TVM need not prove that a vector is in one place."""
        y = m // w.ow % w.oh * w.stride[0] + k // copies // w.kw * w.dilation[0] - w.padding[0]
        x = m % w.ow * w.stride[1] + k // copies % w.kw * w.dilation[1] - w.padding[1]
        inside = [
            *([m < w.n * w.oh * w.ow] if rows > w.n * w.oh * w.ow else []),
            *([k < w.kh * w.kw * copies] if depth > w.kh * w.kw * c else []),
            *([y >= 0, y < w.h] if w.padding[0] else []),
            *([x >= 0, x < w.w] if w.padding[1] else []),
        ]
        value = data[m // (w.oh * w.ow), y, x, k % copies * COPY + lane]
        return te.if_then_else(te.all(*inside), value, tvm.tirx.const(0, "float16")) if inside else value

    pixels = te.compute((rows, depth // COPY, COPY), pixel, name="pixels")
    k = te.reduce_axis((0, depth), "k")
    product = te.compute(
        (rows, columns),
        lambda i, j: te.sum(pixels[i, k // COPY, k % COPY].astype("float32") * weight[j, k].astype("float32"), axis=k),
        name="product",
    )
    return te.create_prim_func([data, weight, product])


def apply(sch: s_tir.Schedule, knobs: dict[str, Any]) -> None:
    """Schedules the blocks `pixels` and `product`."""
    product, pixels = sch.get_sblock("product"), sch.get_sblock("pixels")
    write = sch.cache_write(product, 0, "wmma.accumulator")
    sch.transform_layout(pixels, ("write", 0), lambda m, k, lane: [m, k * COPY + lane])
    sch.set_scope(pixels, 0, "shared")
    shared = [pixels, sch.cache_read(product, 1, "shared")]
    fragments = [sch.cache_read(product, operand, f"wmma.matrix_{'ab'[operand]}") for operand in (0, 1)]

    outer, inner = zip(*(sch.split(loop, [None, FRAGMENT]) for loop in sch.get_loops(product)), strict=True)
    (block_m, warp_m, m), (block_n, warp_n, n), (slices, k) = (
        sch.split(loop, list(knobs[name])) for loop, name in zip(outer, ("tile_m", "tile_n", "tile_k"), strict=True)
    )
    sch.reorder(block_m, block_n, warp_m, warp_n, slices, k, m, n, *inner)
    grid = sch.fuse(block_m, block_n)  # one axis, as the others are limited to 65 535 blocks
    bind(sch, [grid], "blockIdx")
    sch.bind(warp_m, "threadIdx.z")
    sch.bind(warp_n, "threadIdx.y")
    sch.reverse_compute_at(write, warp_n, preserve_unit_loops=True)
    for fragment in fragments:
        sch.compute_at(fragment, k, preserve_unit_loops=True)
    for copy, rank in zip(shared, (3, 2), strict=True):
        _fetch(sch, copy, slices, knobs, rank)
    init = sch.decompose_reduction(product, slices)

    copied = [_fragment(sch, block) for block in (*fragments, write)]
    # what a slice does is unrolled, the loop over slices is not: a body with hundreds of barriers compiles for seconds
    for loop in (k, sch.get_loops(init)[3], sch.get_loops(write)[3]):
        annotate_unroll(sch, loop, knobs)
    for loop, intrinsic in zip(copied, (wmma.LOAD_A, wmma.LOAD_B, wmma.STORE), strict=True):
        sch.tensorize(loop, intrinsic)
    sch.tensorize(sch.get_loops(init)[-2], wmma.FILL)
    sch.tensorize(inner[0], wmma.PRODUCT)


def _fetch(sch: s_tir.Schedule, copy: SBlockRV, at: LoopRV, knobs: dict[str, Any], rank: int) -> None:
    """Copies a slice into shared memory by all threads, neighbours by neighbouring threads, `vector` elements each.

    Args:
        rank: number of loops of the copy.
    """
    sch.compute_at(copy, at, preserve_unit_loops=True)
    sch.storage_align(copy, 0, -2, FRAGMENT * knobs["tile_k"][1], knobs["offset"])
    # the vector is split off first, so that where threads are too many it is whole vectors that they leave out
    *outer, innermost = sch.get_loops(copy)[-rank:]
    rest, vector = sch.split(innermost, [None, knobs["vector"]])
    copies, *threads = sch.split(sch.fuse(*outer, rest), [None, knobs["tile_m"][1], knobs["tile_n"][1], WARP])
    bind(sch, threads, "threadIdx")
    sch.vectorize(vector)
    if not keep_rolled(sch, copies):
        annotate_unroll(sch, copies, knobs)


def _fragment(sch: s_tir.Schedule, block: SBlockRV) -> LoopRV:
    """The outermost loop of one fragment of a copy."""
    outer, inner = zip(*(sch.split(loop, [None, FRAGMENT]) for loop in sch.get_loops(block)[-2:]), strict=True)
    sch.reorder(*outer, *inner)
    return inner[0]
