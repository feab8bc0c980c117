"""The template of traced kernels: one of a kernel's own schedules, with the decisions of the knobs."""

from __future__ import annotations

from typing import Any

import tvm
from tvm.s_tir import Schedule

from raydgp.errors import InputError, RaydgpError
from raydgp.targets import Target
from raydgp.templates.base import LaidOut
from raydgp.templates.layouts import Layout
from raydgp.templates.traced.code import arrays, decode
from raydgp.templates.traced.design import completed, rules_of
from raydgp.templates.traced.space import decided
from raydgp.workloads import TracedKernel


class TracedTemplate(LaidOut):
    """Arrays as the function has them, the output last."""

    def schedule(self, workload: TracedKernel, knobs: dict[str, Any], target: Target) -> tvm.IRModule:
        return self.scheduled(workload, knobs, target).mod

    def scheduled(self, workload: TracedKernel, knobs: dict[str, Any], target: Target) -> Schedule:
        """The schedule with its trace, which other users of TVM can apply to the function.

        As TVM's MetaSchedule would have made it.

        Raises:
            InputError: the workload cannot be read, or there are no traced kernels on the target.
            RaydgpError: the schedule has a loop of unknown length, or what it annotates cannot be done.
        """
        rules = rules_of(target)
        if rules is None:
            raise InputError(f"{workload}: target {target.kind} has no rules for traced kernels")
        sch, refused_by = completed(decode(workload), decided(workload, knobs), rules)
        if refused_by:
            raise RaydgpError(f"{workload}: {refused_by} of MetaSchedule refuses this schedule")
        return sch

    def layouts(self, workload: TracedKernel, knobs: dict[str, Any]) -> list[Layout]:
        return [Layout() for _ in arrays(decode(workload))[:-1]]

    def out_shape(self, workload: TracedKernel, knobs: dict[str, Any]) -> tuple[int, ...]:
        return arrays(decode(workload))[-1][0]

    def out_layout(self, workload: TracedKernel, knobs: dict[str, Any]) -> Layout:
        return Layout()
