"""A kernel of a model that is of no task: one that no space of ours schedules is compiled as TVM makes it."""

from __future__ import annotations

import tvm
from tvm import tirx
from tvm.s_tir import dlight

from raydgp.build.compile import CompiledKernel
from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm

_RULES = (
    dlight.gpu.Matmul,
    dlight.gpu.GEMV,
    dlight.gpu.Reduction,
    dlight.gpu.GeneralReduction,
    dlight.gpu.Fallback,
)  # of TVM's own pipeline for GPUs, in its order


def compile_function(function: tirx.PrimFunc, target: Target, scheduled: bool) -> CompiledKernel:
    """Compiles one function of a lowered model for a bundle.

    Args:
        scheduled: whether it has a schedule; else it gets that of TVM's rules on a GPU, and none on a processor.

    Raises:
        BuildError: it does not compile, or cannot be launched by what a bundle says.
        InputError: no compiler for the target is here.
    """
    module = tvm.IRModule({"main": function.with_attr("global_symbol", "main")})
    if not target.behaviour.on_processors and not scheduled:
        with to_tvm(target):
            module = dlight.ApplyDefaultSchedule(*(rule() for rule in _RULES))(module)
    compiled: CompiledKernel = target.behaviour.part("parts")(module, target)
    return compiled
