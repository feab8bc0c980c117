"""What a warp's tensor cores do, as intrinsics for TensorIR: 16 x 16 x 16 products of float16, sums in float32.

TVM has the same ones, but its module of them takes some 25 s to import.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from tvm.s_tir import TensorIntrin
from tvm.script import tirx as T

from raydgp.templates.cuda.tensor_core_space import FRAGMENT as F

LOAD_A, LOAD_B = "raydgp.wmma_load_a", "raydgp.wmma_load_b"  # from shared memory, rows of it along the sum
FILL, PRODUCT, STORE = "raydgp.wmma_fill", "raydgp.wmma_product", "raydgp.wmma_store"  # store to global memory


@cache  # the scripts take some 0.2 s to parse: not at import, and once
def register() -> None:
    """Makes the intrinsics known to `Schedule.tensorize` by the names above."""
    TensorIntrin.register(LOAD_A, *_load("wmma.matrix_a", "row_major"))
    TensorIntrin.register(LOAD_B, *_load("wmma.matrix_b", "col_major"))
    TensorIntrin.register(FILL, *_fill())
    TensorIntrin.register(PRODUCT, *_product())
    TensorIntrin.register(STORE, *_store())


def _number(buffer: Any, stride: Any) -> Any:
    """Which of a warp's fragments a part of a buffer is."""
    return buffer.elem_offset // stride // F * (stride // F) + buffer.elem_offset % stride // F


def _copy(dtype: str, source: str, destination: str) -> Any:
    @T.prim_func(s_tir=True)
    def description(a: T.handle, c: T.handle) -> None:
        A = T.match_buffer(a, (F, F), dtype, align=64, offset_factor=F, scope=source)
        C = T.match_buffer(c, (F, F), dtype, align=64, offset_factor=F, scope=destination)
        with T.sblock("root"):
            T.reads(A[0:F, 0:F])
            T.writes(C[0:F, 0:F])
            for i, j in T.grid(F, F):
                with T.sblock("copy"):
                    vi, vj = T.axis.remap("SS", [i, j])
                    C[vi, vj] = A[vi, vj]

    return description


def _load(scope: str, layout: str) -> tuple[Any, Any]:
    @T.prim_func(s_tir=True)
    def load(a: T.handle, c: T.handle) -> None:
        a1, a0, c1, c0 = T.int32(), T.int32(), T.int32(), T.int32()
        A = T.match_buffer(a, (F, F), "float16", align=64, offset_factor=F, scope="shared", strides=[a1, a0])
        C = T.match_buffer(c, (F, F), "float16", align=64, offset_factor=F, scope=scope, strides=[c1, c0])
        with T.sblock("root"):
            T.reads(A[0:F, 0:F])
            T.writes(C[0:F, 0:F])
            T.evaluate(
                T.tvm_load_matrix_sync(
                    *(C.data, F, F, F, _number(C, c1), A.access_ptr("r", ptr_type="float16"), a1, layout), dtype="void"
                )
            )

    return _copy("float16", "shared", scope), load


def _fill() -> tuple[Any, Any]:
    @T.prim_func(s_tir=True)
    def description(c: T.handle) -> None:
        C = T.match_buffer(c, (F, F), "float32", align=64, offset_factor=F, scope="wmma.accumulator")
        with T.sblock("root"):
            T.reads()
            T.writes(C[0:F, 0:F])
            for i, j in T.grid(F, F):
                with T.sblock("init"):
                    vi, vj = T.axis.remap("SS", [i, j])
                    C[vi, vj] = T.float32(0)

    @T.prim_func(s_tir=True)
    def fill(c: T.handle) -> None:
        c1, c0 = T.int32(), T.int32()
        C = T.match_buffer(c, (F, F), "float32", align=64, offset_factor=F, scope="wmma.accumulator", strides=[c1, c0])
        with T.sblock("root"):
            T.reads()
            T.writes(C[0:F, 0:F])
            T.evaluate(T.tvm_fill_fragment(C.data, F, F, F, _number(C, c1), T.float32(0), dtype="void"))

    return description, fill


def _product() -> tuple[Any, Any]:
    @T.prim_func(s_tir=True)
    def description(a: T.handle, b: T.handle, c: T.handle) -> None:
        A = T.match_buffer(a, (F, F), "float16", align=64, offset_factor=F, scope="wmma.matrix_a")
        B = T.match_buffer(b, (F, F), "float16", align=64, offset_factor=F, scope="wmma.matrix_b")
        C = T.match_buffer(c, (F, F), "float32", align=64, offset_factor=F, scope="wmma.accumulator")
        with T.sblock("root"):
            T.reads(C[0:F, 0:F], A[0:F, 0:F], B[0:F, 0:F])
            T.writes(C[0:F, 0:F])
            for i, j, k in T.grid(F, F, F):
                with T.sblock(""):
                    vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                    C[vi, vj] = C[vi, vj] + T.Cast("float32", A[vi, vk]) * T.Cast("float32", B[vj, vk])

    @T.prim_func(s_tir=True)
    def product(a: T.handle, b: T.handle, c: T.handle) -> None:
        a1, a0, b1, b0, c1, c0 = T.int32(), T.int32(), T.int32(), T.int32(), T.int32(), T.int32()
        A = T.match_buffer(a, (F, F), "float16", align=64, offset_factor=F, scope="wmma.matrix_a", strides=[a1, a0])
        B = T.match_buffer(b, (F, F), "float16", align=64, offset_factor=F, scope="wmma.matrix_b", strides=[b1, b0])
        C = T.match_buffer(c, (F, F), "float32", align=64, offset_factor=F, scope="wmma.accumulator", strides=[c1, c0])
        with T.sblock("root"):
            T.reads(C[0:F, 0:F], A[0:F, 0:F], B[0:F, 0:F])
            T.writes(C[0:F, 0:F])
            T.evaluate(
                T.tvm_mma_sync(
                    *(C.data, _number(C, c1), A.data, _number(A, a1), B.data, _number(B, b1), C.data, _number(C, c1)),
                    dtype="void",
                )
            )

    return description, product


def _store() -> tuple[Any, Any]:
    @T.prim_func(s_tir=True)
    def store(a: T.handle, c: T.handle) -> None:
        a1, a0, c1, c0 = T.int32(), T.int32(), T.int32(), T.int32()
        A = T.match_buffer(a, (F, F), "float32", align=64, offset_factor=F, scope="wmma.accumulator", strides=[a1, a0])
        C = T.match_buffer(c, (F, F), "float32", align=64, offset_factor=F, scope="global", strides=[c1, c0])
        with T.sblock("root"):
            T.reads(A[0:F, 0:F])
            T.writes(C[0:F, 0:F])
            T.evaluate(
                T.tvm_store_matrix_sync(
                    *(A.data, F, F, F, _number(A, a1), C.access_ptr("w", ptr_type="float32"), c1, "row_major"),
                    dtype="void",
                )
            )

    return _copy("float32", "wmma.accumulator", "global"), store
