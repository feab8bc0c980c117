"""Schedules with open decisions that make a traced kernel's space: what a kind of target has to say about them."""

from __future__ import annotations

from typing import Any, Protocol

import tvm
from tvm.s_tir import Schedule, Trace
from tvm.s_tir import meta_schedule as ms

from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm
from raydgp.templates.traced.intrinsics import intrinsics_of

_SEED = 1  # of decisions that are then replaced


class DefaultDecisions(Protocol):
    """Decisions of the schedule that is measured first, asked for one after the other, in the order of a trace."""

    @property
    def sum_parts(self) -> int:
        """Parts that a sum is tiled in."""

    def tile(self, extent: int, parts: int, last: bool) -> list[int]:
        """The parts of a loop, outermost first; `last` of the axes of the output or not."""

    def choice(self, values: list[int]) -> int:
        """The number of one of the values."""

    def place(self, sch: Schedule, block: Any, places: list[int]) -> int:
        """One of the places that `extract` gives."""


class TracedRules(Protocol):
    """How traced kernels are scheduled on a kind of target: `traced` of `raydgp.targets.Kind`."""

    def design(self, module: tvm.IRModule, target: Target) -> list[Schedule]:
        """The schedules with open decisions of a module, for any target of the kind alike."""

    def defaults(self, target: Target) -> list[DefaultDecisions]:
        """Fresh default decisions, then simpler ones for kernels that these cannot be completed for.

        Raises:
            InputError: the target does not say what they depend on.
        """

    def complete(self, sch: Schedule) -> list[ms.postproc.Postproc]:
        """What completes a schedule whose decisions are made, in this order; a step refuses what cannot run."""


def rules_of(target: Target) -> TracedRules | None:
    """The rules of a target's kind; None where it has none."""
    if not target.behaviour.traced:
        return None
    rules: TracedRules = target.behaviour.part("traced")()
    return rules


def completed(module: tvm.IRModule, trace: list[Any], rules: TracedRules) -> tuple[Schedule, str]:
    """What a trace, in TVM's JSON, makes of a module, and which step of MetaSchedule refuses it; empty where none."""
    sch = Schedule(module, debug_mask=0, error_render_level="none")
    Trace.apply_json_to_schedule(trace, sch)
    sch.enter_postproc()
    return sch, next((type(step).__name__ for step in rules.complete(sch) if not step.apply(sch)), "")


def post_order_apply(module: tvm.IRModule, target: Target, rules: Any) -> list[Schedule]:
    """What MetaSchedule's rules make of a module, block by block."""
    generator = ms.space_generator.PostOrderApply(sch_rules=rules, postprocs=[], mutator_probs={})
    with intrinsics_of(target):
        context = ms.TuneContext(
            mod=module, target=to_tvm(target), space_generator=generator, rand_state=_SEED, num_threads=1
        )
    return list(context.generate_design_space())
