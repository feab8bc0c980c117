"""Schedules with open decisions for kernels that move more than they compute: pooling, norms, softmax, transposes.

MetaSchedule's own rules leave the inner loops of such kernels to reductions and to long strides, which do not
vectorise. These rules give every block lanes, an innermost loop that a vector runs along, and keep together what
belongs to one row. Their decisions are MetaSchedule's sampling instructions, so that the trace is one like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import tvm
from tvm.s_tir import Schedule, ScheduleError
from tvm.s_tir.analysis import estimate_tir_flops
from tvm.s_tir.schedule import LoopRV, SBlockRV
from tvm.tirx import IterVar
from tvm_ffi import structural_equal

from raydgp.space.knobs import divisors

LANES = 64  # at most, four vectors of 16: what MetaSchedule vectorises at most
UNROLL = (0, 16, 64, 512)  # loops of up to so many steps are unrolled
JOBS_A_CORE = 16
PARALLEL = "meta_schedule.parallel"
SERIAL = 1  # so few jobs are one thread's: MetaSchedule has no number for it (-1 makes its postprocessor loop forever)


def is_contraction(sch: Schedule) -> bool:
    """Whether several outputs of a sum share an operand, as in a matrix product."""
    for block in map(sch.get, _blocks(sch)):
        spatial = [it.var for it in block.iter_vars if it.iter_type == IterVar.DataPar and int(it.dom.extent) > 1]
        unused = [var for read in block.reads for var in spatial if not any(_uses(d.min, var) for d in read.region)]
        if _sums(block) and unused:
            return True
    return False


def memory_bound(sch: Schedule, cores: int) -> list[Schedule]:
    """Schedules with open decisions, made of one whose blocks have been inlined as far as they go."""
    *producers, out = _blocks(sch)
    if not producers and (across := _read_along(sch, out)) is not None:
        schedules = [sch, sch.copy()]
        for schedule, along_reads in zip(schedules, (False, True), strict=True):
            _tile_across(schedule, out, across, along_reads)
    else:
        schedules = [sch]
        copies = [block for block in producers if not _sums(sch.get(block)) and not sch.get_producers(block)]
        partial = [made for block in (*producers, out) if (made := _sum_in_lanes(sch, block)) is not None]
        *producers, out = _blocks(sch)
        worked = [block for block in producers if not _among(sch, block, copies)]
        for block in reversed(worked):
            _attach(sch, block, out, _among(sch, block, partial))
        for block in (*worked, out):
            _give_lanes(sch, block, tiled=_among(sch, block, partial))
        for block in reversed(copies):  # these cost next to nothing to repeat: their place is an open decision
            sch.compute_at(block, sch.sample_compute_location(block), preserve_unit_loops=True)
    for schedule in schedules:
        _annotate(schedule, cores, unroll=bool(producers) or _sums(sch.get(out)))
    return schedules


def _blocks(sch: Schedule) -> list[SBlockRV]:
    """In the order of the program; the last one writes the output."""
    return sch.get_child_blocks(sch.get_sblock("root"))


def _annotate(sch: Schedule, cores: int, unroll: bool) -> None:
    """What MetaSchedule's postprocessor RewriteParallelVectorizeUnroll goes by."""
    root = sch.get_sblock("root")
    sch.annotate(root, PARALLEL, sch.sample_categorical([SERIAL, cores * JOBS_A_CORE], [0.5, 0.5]))
    sch.annotate(root, "meta_schedule.vectorize", LANES)
    if unroll:
        steps = sch.sample_categorical(list(UNROLL), [1 / len(UNROLL)] * len(UNROLL))
        sch.annotate(root, "meta_schedule.unroll_explicit", steps)


def _sum_in_lanes(sch: Schedule, block: SBlockRV) -> SBlockRV | None:
    """Sums up a row that lies along memory as so many sums, one a lane, which the block itself then sums up.

    Returns:
        The new block.
    """
    node, loops = sch.get(block), sch.get_loops(block)
    if not _is_summed(_lane(node)):
        return None
    row = sch.fuse(*(loop for loop, it in zip(loops, node.iter_vars, strict=True) if _is_summed(it)))
    _, inner = _tile(sch, row)
    return sch.rfactor(inner, len(node.writes[0].region)) if int(sch.get(inner).extent) > 1 else None


def _attach(sch: Schedule, block: SBlockRV, out: SBlockRV, partial: bool) -> None:
    """Computes a block within the innermost loop of the output that repeats none of it, and leaves the lanes inside.

    Args:
        partial: whether it is one of `_sum_in_lanes`, whose lanes are no loop of the output's.
    """
    inside = 0 if partial or _is_summed(_lane(sch.get(block))) else 1
    loops = sch.get_loops(out)
    for loop in reversed(loops[: len(loops) - inside]):
        trial = sch.copy()
        with suppress(ScheduleError):
            trial.compute_at(block, loop, preserve_unit_loops=True)
            if estimate_tir_flops(trial.mod) <= estimate_tir_flops(sch.mod):
                sch.compute_at(block, loop, preserve_unit_loops=True)
                return


def _give_lanes(sch: Schedule, block: SBlockRV, tiled: bool) -> None:
    """Makes the innermost loop one along memory, with sums outside of it.

    Args:
        tiled: whether the loop along memory has its length already.
    """
    node, loops = sch.get(block), _own_loops(sch, block)
    if not loops:
        return  # other blocks are computed in its innermost loop
    body = sch.get(loops[-1]).body
    drives = [_iterator(sch.get(loop).loop_var, node, body) for loop in loops]
    summed = [loop for loop, it in zip(loops, drives, strict=True) if it is not None and _is_summed(it)]
    lane = _lane(node)
    if _is_summed(lane):
        return  # few terms, which `_sum_in_lanes` has left
    if not summed:
        whole = _is_elementwise(node) and len(loops) == len(node.iter_vars)
        _tile(sch, sch.fuse(*loops) if whole else loops[-1])
        return
    at = next(at for at, it in enumerate(drives) if it is not None and it.var.same_as(lane.var))
    others = [loop for loop in (*loops[:at], *loops[at + 1 :]) if loop not in summed]
    *outer, inner = [loops[at]] if tiled else _tile(sch, loops[at])
    sch.reorder(*others, *outer, *summed, inner)


def _own_loops(sch: Schedule, block: SBlockRV) -> list[LoopRV]:
    """The loops around a block in which nothing else is computed."""
    loops = sch.get_loops(block)
    shared = [at for at, loop in enumerate(loops) if isinstance(sch.get(loop).body, tvm.tirx.SeqStmt)]
    return list(loops[shared[-1] + 1 if shared else 0 :])


def _among(sch: Schedule, block: SBlockRV, blocks: Sequence[SBlockRV]) -> bool:
    return any(sch.get(block).same_as(sch.get(other)) for other in blocks)


def _tile_across(sch: Schedule, block: SBlockRV, across: int, along_reads: bool) -> None:
    """Tiles of a transpose, whose lanes run along what is read or along what is written."""
    loops = sch.get_loops(block)
    read_outer, read_inner = _tile(sch, loops[across])
    write_outer, write_inner = _tile(sch, loops[-1])
    inner = (write_inner, read_inner) if along_reads else (read_inner, write_inner)
    sch.reorder(*(loop for i, loop in enumerate(loops[:-1]) if i != across), read_outer, write_outer, *inner)


def _tile(sch: Schedule, loop: LoopRV) -> Sequence[LoopRV]:
    """Splits off lanes; of how many, where it can be told of the schedule, does not depend on chance."""
    extent = int(sch.get(loop).extent)
    lanes = longest(extent, LANES)
    return sch.split(loop, sch.sample_perfect_tile(loop, 2, LANES, decision=[extent // lanes, lanes]))


def longest(extent: int, limit: int) -> int:
    """The largest divisor up to a limit."""
    return max(divisor for divisor in divisors(extent) if divisor <= limit)


def _read_along(sch: Schedule, block: SBlockRV) -> int | None:
    """Which loop of a copy runs along what it reads, where that is not the last one, along what it writes."""
    node = sch.get(block)
    if _sums(node) or not node.reads or len(node.iter_vars) != len(sch.get_loops(block)):
        return None
    lane = _lane(node)
    place = next(i for i, it in enumerate(node.iter_vars) if it.var.same_as(lane.var))
    written = max(i for i, it in enumerate(node.iter_vars) if int(it.dom.extent) > 1 or i == 0)
    return place if place != written and int(lane.dom.extent) > 1 else None


def _lane(node: Any) -> IterVar:
    """The iterator that runs along the memory of a block's largest operand."""
    largest = max(node.reads or node.writes, key=lambda region: len(region.region))
    for dim in reversed(largest.region):
        used = [it for it in node.iter_vars if _uses(dim.min, it.var) and int(it.dom.extent) > 1]
        if used:
            return min(used, key=lambda it: it.iter_type)  # a window slides along the output
    return node.iter_vars[-1]


def _iterator(loop_var: Any, node: Any, realize: Any) -> IterVar | None:
    """The iterator that a loop drives; a loop of one step may drive none."""
    pairs = zip(node.iter_vars, realize.iter_values, strict=True)
    return next((it for it, value in pairs if _uses(value, loop_var)), None)


def _is_elementwise(node: Any) -> bool:
    """Whether every operand is read where the output is written."""
    written = node.writes[0].region
    return all(structural_equal(read.region, written) for read in node.reads)


def _sums(node: Any) -> bool:
    return any(map(_is_summed, node.iter_vars))


def _is_summed(iterator: IterVar) -> bool:
    return int(iterator.iter_type) == IterVar.CommReduce


def _uses(expression: Any, var: Any) -> bool:
    return any(used.same_as(var) for used in tvm.tirx.analysis.undefined_vars(expression))
