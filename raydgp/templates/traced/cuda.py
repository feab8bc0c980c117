"""Schedules with open decisions for traced kernels on a GPU: MetaSchedule's rules, without tensor cores.

Every kernel gets threads by them: an output or a few for each, sums shared by the threads of a block, contractions in
tiles with copies in shared memory. What must be so on a GPU and leaves nothing to decide is done by MetaSchedule's
postprocessors, when a configuration is scheduled (`raydgp.templates.traced.schedule`).
"""

from __future__ import annotations

from typing import Any

import tvm
from tvm.s_tir import Schedule
from tvm.s_tir import meta_schedule as ms

from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm
from raydgp.targets.cuda import CUDA
from raydgp.templates.traced.design import DefaultDecisions, post_order_apply
from raydgp.templates.traced.intrinsics import only_intrinsics
from raydgp.templates.traced.rules import longest

RULES = "cuda"
_THREADS = 128  # of a block, the default's
_ROWS = 4  # threads along all axes but the last, at most, the default's
_OUTPUTS = 2  # of a thread along an axis, the default's
_DEPTH = 8  # terms of a sum whose factors are copied at a time
_UNROLL = 64


class _CudaDefaults:
    """Decisions of the schedule for a GPU that is measured first (see `design.DefaultDecisions`)."""

    sum_parts = 3

    def __init__(self, rows: int, outputs: int) -> None:
        """Takes the most threads along all axes but the last, and the most outputs of a thread along one of those."""
        self._rows, self._outputs, self._threads = rows, outputs, 1

    def tile(self, extent: int, parts: int, last: bool) -> list[int]:
        """The parts of an axis of the output: blocks, virtual threads, threads, and two within a thread."""
        if parts == self.sum_parts:
            depth = longest(extent, _DEPTH)
            return [extent // depth, depth, 1]
        threads = longest(extent, _THREADS // self._threads if last else self._rows)
        self._threads = min(self._threads * threads, _THREADS)
        outputs = longest(extent // threads, _OUTPUTS if last else self._outputs)
        return [extent // threads // outputs, 1, threads, 1, outputs]

    def choice(self, values: list[int]) -> int:
        """Picks a number of steps to unroll, of elements to copy at a time, or of threads."""
        if 0 in values:
            return values.index(_UNROLL)
        return 0 if 1 in values else sum(value <= max(_THREADS, values[0]) for value in values) - 1

    def place(self, sch: Schedule, block: Any, places: list[int]) -> int:
        """MetaSchedule leaves none open on a GPU."""
        return places[0]


class CudaRules:
    """The `TracedRules` of NVIDIA GPUs."""

    def design(self, module: tvm.IRModule, target: Target) -> list[Schedule]:
        """For no GPU in particular: the same tasks wherever they are found."""
        with only_intrinsics():
            return post_order_apply(module, target.behaviour.for_tasks(), RULES)

    def defaults(self, target: Target) -> list[DefaultDecisions]:
        """The second keep a block's outputs on the last axis: what groups of channels read has unknown length else."""
        return [_CudaDefaults(_ROWS, _OUTPUTS), _CudaDefaults(rows=1, outputs=1)]

    def complete(self, sch: Schedule) -> list[ms.postproc.Postproc]:
        return _steps(sch.mod)


def _steps(module: tvm.IRModule) -> list[ms.postproc.Postproc]:
    """What completes a schedule of the module, in this order; the last one says whether a GPU can run it."""
    made = [
        ms.postproc.DisallowDynamicLoop(),
        ms.postproc.RewriteCooperativeFetch(),
        ms.postproc.RewriteUnboundBlock(),
        ms.postproc.RewriteParallelVectorizeUnroll(),
        ms.postproc.RewriteReductionBlock(),
        ms.postproc.VerifyGPUCode(),
    ]
    with only_intrinsics():
        context = ms.TuneContext(mod=module, target=to_tvm(CUDA.for_tasks()), num_threads=1)
    for step in made:
        step._initialize_with_tune_context(context)
    return made
