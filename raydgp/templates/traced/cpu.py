"""Schedules with open decisions for traced kernels on a processor: MetaSchedule's, and ours where memory is the limit.

Kernels that are bound by memory get the schedules of `raydgp.templates.traced.rules`.
"""

from __future__ import annotations

from contextlib import suppress
from math import prod
from typing import Any

import tvm
from tvm.s_tir import Schedule, ScheduleError
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.analysis import estimate_tir_flops

from raydgp.errors import InputError
from raydgp.targets import Target
from raydgp.templates.llvm.registers import Registers
from raydgp.templates.traced.design import DefaultDecisions, post_order_apply
from raydgp.templates.traced.products import matrix_product
from raydgp.templates.traced.rules import PARALLEL, SERIAL, is_contraction, longest, memory_bound

RULES = "llvm"  # MetaSchedule's name of its rules for processors
_INLINING = (ms.schedule_rule.InlineConstantScalars, ms.schedule_rule.AutoInline)
_VECTOR = 32  # the default's innermost tile: two vectors of 16
_ROWS = 4  # of the default's tile in registers
_UNROLL = 64  # the default's
_JOBS = 4  # for each core: from so many on, the default shares a loop


class CpuRules:
    """The `TracedRules` of kinds whose kernels run on processors."""

    def design(self, module: tvm.IRModule, target: Target) -> list[Schedule]:
        cores = _cores(target)  # MetaSchedule asks for them, too, in words of its own
        inlining = [rule for rule in ms.ScheduleRule.create(RULES) if isinstance(rule, _INLINING)]
        (inlined,) = post_order_apply(module, target, inlining)
        if not is_contraction(inlined):
            with suppress(ScheduleError, ValueError):  # loops of a shape that our rules do not know
                return memory_bound(inlined, cores)
        with suppress(ScheduleError):
            if (made := matrix_product(inlined, Registers.of(target))) is not None:
                return [made]
        return post_order_apply(module, target, RULES)

    def defaults(self, target: Target) -> list[DefaultDecisions]:
        """The second leave blocks apart: computed within another, a block may have loops of unknown length."""
        return [_CpuDefaults(_cores(target)), _CpuDefaults(_cores(target), apart=True)]

    def complete(self, sch: Schedule) -> list[ms.postproc.Postproc]:
        root = sch.get_sblock("root")
        if int(sch.get(root).annotations.get(PARALLEL, 0)) == SERIAL:
            sch.unannotate(root, PARALLEL)
        return [
            ms.postproc.DisallowDynamicLoop(),
            ms.postproc.RewriteParallelVectorizeUnroll(),
            ms.postproc.RewriteReductionBlock(),
        ]


def _cores(target: Target) -> int:
    if target.cores is None:
        raise InputError(f"target {target} does not say its cores, which the schedules of traced kernels depend on")
    return target.cores


class _CpuDefaults:
    """Decisions of the schedule for a CPU that is measured first."""

    sum_parts = 2

    def __init__(self, cores: int, apart: bool = False) -> None:
        self._cores, self._apart = cores, apart

    def tile(self, extent: int, parts: int, last: bool) -> list[int]:
        """One vector or two as the innermost part; of a tile in registers, a few rows of them."""
        inner = longest(extent, _VECTOR if last else _ROWS)
        return [extent // inner, *[1] * (parts - 2), inner]

    def choice(self, values: list[int]) -> int:
        return values.index(_UNROLL) if _UNROLL in values else len(values) - 1

    def place(self, sch: Schedule, block: Any, places: list[int]) -> int:
        """The outermost loop that leaves enough to share among the cores, unless that repeats much; else outside."""
        name, flops = sch.get(block).name_hint, estimate_tir_flops(sch.mod)
        for place in (place for place in places if place >= 0 and not self._apart):
            trial = sch.copy()
            loop = trial.sample_compute_location(name, decision=place)
            trial.compute_at(name, loop, preserve_unit_loops=True)
            jobs = prod(int(trial.get(loop).extent) for loop in trial.get_loops(name)[: place + 1])
            if jobs >= self._cores * _JOBS and estimate_tir_flops(trial.mod) <= 2 * flops:
                return place
        return -1 if -1 in places else places[0]
