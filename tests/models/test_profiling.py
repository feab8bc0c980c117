"""A profile of a model: which kernels only move numbers, and what the others reach of the machine's bounds."""

import tvm
from tvm import te

from raydgp.app.deploy.profile import COPY, MACHINE, TEMPLATE, rows
from raydgp.models.lowering import Lowered
from raydgp.models.profiling import BUILTIN, Spent, copies
from raydgp.workloads import Conv2d
from raydgp.workloads.zoo import Task

LAYER = Conv2d(n=1, ci=8, h=10, w=10, co=8, kh=3, kw=3)


def module() -> tvm.IRModule:
    x = te.placeholder((4, 6), name="x")
    kernels = {
        "transpose": te.compute((6, 4), lambda i, j: x[j, i]),
        "pad": te.compute((6, 6), lambda i, j: te.if_then_else(i < 4, x[i, j], te.const(0.0))),
        "relu": te.compute((4, 6), lambda i, j: te.max(x[i, j], te.const(0.0))),
        "cast": te.compute((4, 6), lambda i, j: x[i, j].astype("float16")),
    }
    return tvm.IRModule({name: te.create_prim_func([x, out]) for name, out in kernels.items()})


def test_what_only_moves_numbers_is_a_copy() -> None:
    assert copies(module()) == {"transpose", "pad"}


def test_a_kernel_is_held_against_the_bound_that_it_meets_first() -> None:
    lowered = Lowered(module(), [Task("conv", LAYER, 2)], [], {"transpose": 1})
    seconds = 2 * LAYER.flops / 50e9
    spent = [Spent(BUILTIN, 9, 1e-6, 0), Spent("transpose", 1, 1e-5, 100_000), Spent("conv", 2, seconds, 1000)]
    transpose, conv, machine = rows(spent, lowered, 100.0, 20.0)
    assert (conv.by, transpose.by, machine.by) == (TEMPLATE, COPY, MACHINE)
    assert conv.gflops is not None
    assert transpose.gb_s is not None
    assert round(conv.gflops) == 50
    assert round(transpose.gb_s) == 10
    assert transpose.gflops is None
    assert [round(row.of_bound or 0, 3) for row in (conv, transpose, machine)] == [0.5, 0.5, 0]
    assert rows(spent, lowered, None, None)[1].of_bound is None
