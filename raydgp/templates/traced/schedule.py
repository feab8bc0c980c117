"""Templates of an imported model's kernels: one of a kernel's own schedules, with the decisions of the knobs."""

from __future__ import annotations

from typing import Any

import tvm
from tvm.s_tir import Schedule, Trace
from tvm.s_tir.meta_schedule import postproc

from raydgp.errors import RaydgpError
from raydgp.templates.base import Array
from raydgp.templates.traced import cuda as cuda_sketching
from raydgp.templates.traced.code import arrays, decode
from raydgp.templates.traced.rules import PARALLEL, SERIAL
from raydgp.templates.traced.space import decided
from raydgp.workloads.traced import TracedKernel


class TracedTemplate:
    """For a CPU. Arrays as the function has them, the output last."""

    def schedule(self, workload: TracedKernel, knobs: dict[str, Any], target: dict[str, Any]) -> tvm.IRModule:
        return self.scheduled(workload, knobs).mod

    def scheduled(self, workload: TracedKernel, knobs: dict[str, Any]) -> Schedule:
        """The schedule with its trace, which other users of TVM can apply to the function."""
        return schedule(workload, knobs)

    def pack(self, workload: TracedKernel, knobs: dict[str, Any], inputs: tuple[Array, ...]) -> list[Array]:
        return list(inputs)

    def out_shape(self, workload: TracedKernel, knobs: dict[str, Any]) -> tuple[int, ...]:
        return arrays(decode(workload))[-1][0]

    def unpack(self, workload: TracedKernel, knobs: dict[str, Any], out: Array) -> Array:
        return out


class CudaTracedTemplate(TracedTemplate):
    """The same for a GPU."""

    def scheduled(self, workload: TracedKernel, knobs: dict[str, Any]) -> Schedule:
        sch = _decided(workload, knobs)
        return _completed(sch, workload, cuda_sketching.steps(sch.mod))


def schedule(workload: TracedKernel, knobs: dict[str, Any]) -> Schedule:
    """The function scheduled for a CPU, with the trace of how, as TVM's MetaSchedule would have done it.

    Raises:
        InputError: the workload cannot be read.
        RaydgpError: the schedule has a loop of unknown length, or what it annotates cannot be done.
    """
    sch = _decided(workload, knobs)
    root = sch.get_sblock("root")
    if int(sch.get(root).annotations.get(PARALLEL, 0)) == SERIAL:
        sch.unannotate(root, PARALLEL)
    steps = [
        postproc.DisallowDynamicLoop(),
        postproc.RewriteParallelVectorizeUnroll(),
        postproc.RewriteReductionBlock(),
    ]
    return _completed(sch, workload, steps)


def _decided(workload: TracedKernel, knobs: dict[str, Any]) -> Schedule:
    sch = Schedule(decode(workload), debug_mask=0, error_render_level="none")
    Trace.apply_json_to_schedule(decided(workload, knobs), sch)
    sch.enter_postproc()
    return sch


def _completed(sch: Schedule, workload: TracedKernel, steps: list[postproc.Postproc]) -> Schedule:
    for step in steps:
        if not step.apply(sch):
            raise RaydgpError(f"{workload}: {type(step).__name__} of MetaSchedule refuses this schedule")
    return sch
