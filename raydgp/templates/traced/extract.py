"""Kernels of an imported model made into workloads: a function with the schedules that are open to it.

The schedules are the design spaces of MetaSchedule (Shao et al., Tensor Program Optimization with Probabilistic
Programs, NeurIPS 2022), traces with sampling instructions; for kernels that are bound by memory, ours (`sketch_rules`).
"""

from __future__ import annotations

import json
from contextlib import suppress
from math import prod
from typing import Any, Protocol

import tvm
from tvm.s_tir import Schedule, ScheduleError
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.analysis import estimate_tir_flops

from raydgp.errors import InputError
from raydgp.targets.host import any_gpu, to_tvm
from raydgp.templates.traced import cuda as cuda_sketching
from raydgp.templates.traced.code import arrays, encode
from raydgp.templates.traced.intrinsics import only_intrinsics, x86_intrinsics
from raydgp.templates.traced.rules import is_contraction, longest, memory_bound
from raydgp.workloads.traced import TracedKernel

_INLINING = (ms.schedule_rule.InlineConstantScalars, ms.schedule_rule.AutoInline)
_SEED = 1  # of decisions that are then replaced
_VECTOR = 32  # the default's innermost tile: two vectors of 16
_ROWS = 4  # of the default's tile in registers
_UNROLL = 64  # the default's
_JOBS = 4  # for each core: from so many on, the default shares a loop
_DEEPEST = 16  # loops around a block


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
        """One of the places that `_places` gives."""


def kernel(name: str, func: tvm.tirx.PrimFunc, target: dict[str, Any]) -> TracedKernel:
    """The workload of a function without a schedule.

    Args:
        name: for people.
        func: of dense arrays of fixed shapes, the last one the output.
        target: as of `raydgp.targets.host.host_target`.

    Raises:
        InputError: shapes that are not fixed, several outputs, one that is not of float32, or nothing that would run.
    """
    module = _normalised(name, func)
    sketches = [_sketch(schedule, module, _defaults(target)) for schedule in _design(module, target)]
    if target["kind"] == "cuda":
        sketches = [sketch for sketch in sketches if cuda_sketching.runs(module, sketch["trace"])]
    if not sketches:
        raise InputError(f"kernel {name}: no schedule with our default decisions runs on a GPU")
    operations = int(estimate_tir_flops(module))
    return TracedKernel(
        name=name,
        code=encode(module),
        sketches=json.dumps(sketches, separators=(",", ":")),
        operations=operations or prod(arrays(module)[-1][0]),
    )


def _normalised(name: str, func: tvm.tirx.PrimFunc) -> tvm.IRModule:
    """The function as `main`, without what its caller left on it and with names that tell nothing of its origin."""
    for attribute in func.attrs.keys() if func.attrs else ():
        func = func.without_attr(attribute)
    func = func.with_attrs({"global_symbol": "main", "tirx.noalias": True, "s_tir": True})
    sch = Schedule(tvm.IRModule({"main": func}), debug_mask=0)
    blocks = sch.get_child_blocks(sch.get_sblock("root"))
    for block in blocks:
        if "schedule_rule" in sch.get(block).annotations:  # of other targets: here nobody knows them
            sch.unannotate(block, "schedule_rule")
    written = [region.source for block in blocks for region in sch.get(block).writes]
    outputs = [param for param in func.params if any(param.same_as(tensor) for tensor in written)]
    if len(outputs) != 1 or not outputs[0].same_as(func.params[-1]):
        raise InputError(f"kernel {name}: {len(outputs)} outputs; only kernels whose one output is the last array fit")
    if not all(isinstance(extent, tvm.tirx.IntImm) for param in func.params for extent in param.shape):
        raise InputError(f"kernel {name}: its shapes must be fixed; export the model with fixed shapes")
    if str(func.params[-1].dtype) != "float32":
        raise InputError(f"kernel {name}: its output is of {func.params[-1].dtype}; only float32 is compared")
    return _renamed(sch.mod)


def _renamed(module: tvm.IRModule) -> tvm.IRModule:
    """Variables numbered in the order in which TVM writes them: equal functions have equal text."""
    graph = json.loads(tvm.ir.save_json(module))
    nodes = graph["nodes"]
    for number, node in enumerate([node for node in nodes if node["type"] == "ir.Var"]):
        node["data"]["name"] = len(nodes)
        nodes.append({"type": "ffi.String", "data": f"v{number}"})
    return tvm.ir.load_json(json.dumps(graph))


def _design(module: tvm.IRModule, target: dict[str, Any]) -> list[Schedule]:
    if target["kind"] == "cuda":
        with only_intrinsics():  # for no GPU in particular: the same tasks wherever they are found
            return _post_order_apply(module, any_gpu(), cuda_sketching.RULES)
    inlining = [rule for rule in ms.ScheduleRule.create("llvm") if isinstance(rule, _INLINING)]
    (inlined,) = _post_order_apply(module, target, inlining)
    if not is_contraction(inlined):
        with suppress(ScheduleError, ValueError):  # loops of a shape that our rules do not know
            return memory_bound(inlined, target["num-cores"])
    return _post_order_apply(module, target, "llvm")


def _post_order_apply(module: tvm.IRModule, target: dict[str, Any], rules: Any) -> list[Schedule]:
    generator = ms.space_generator.PostOrderApply(sch_rules=rules, postprocs=[], mutator_probs={})
    with x86_intrinsics(target["kind"]):
        context = ms.TuneContext(
            mod=module, target=to_tvm(target), space_generator=generator, rand_state=_SEED, num_threads=1
        )
    return list(context.generate_design_space())


def _defaults(target: dict[str, Any]) -> DefaultDecisions:
    return cuda_sketching.CudaDefaultDecisions() if target["kind"] == "cuda" else _CpuDefaults(target["num-cores"])


def _sketch(schedule: Schedule, module: tvm.IRModule, defaults: DefaultDecisions) -> dict[str, Any]:
    """The trace of a schedule with its decisions replaced by the default ones, and the options of each of them."""
    trace = schedule.trace.simplified(remove_postproc=False)
    tiles = [inst for inst in trace.insts if inst.kind.name == "SamplePerfectTile"]
    spatial = [inst for inst in tiles if int(inst.attrs[0]) != defaults.sum_parts]
    options: list[dict[str, Any]] = []
    replay = Schedule(module, debug_mask=0)

    def decide(inst: Any, inputs: Any, attrs: Any, decision: Any) -> Any:
        match inst.kind.name:
            case "SamplePerfectTile":
                extent, parts, widest = int(replay.get(inputs[0]).extent), int(attrs[0]), int(attrs[1])
                options.append({"tile": extent, "parts": parts, "widest": widest})
                return defaults.tile(extent, parts, inst.same_as(spatial[-1]) if spatial else True)
            case "SampleCategorical":
                values = [int(value) for value in attrs[0]]
                options.append({"choice": values})
                return defaults.choice(values)
            case "SampleComputeLocation":
                places = _places(replay, inputs[0])
                options.append({"place": places, "block": replay.get(inputs[0]).name_hint})
                return defaults.place(replay, inputs[0], places)
        return decision

    trace.apply_to_schedule(replay, remove_postproc=False, decision_provider=decide)
    instructions, decisions = plain(replay.trace.as_json())
    knobs = [
        {"name": _name(instructions, at, option), **option} for option, (at, _) in zip(options, decisions, strict=True)
    ]
    return {"trace": [instructions, decisions], "knobs": knobs}


def plain(node: Any) -> Any:
    """What TVM calls JSON, in Python's own types."""
    match node:
        case list() | tuple():
            return [plain(part) for part in node]
        case tvm.tirx.IntImm():
            return bool(node.value) if str(node.ty.dtype) == "bool" else int(node.value)
        case tvm.tirx.FloatImm():
            return float(node.value)
    return node


def _name(instructions: list[Any], at: int, option: dict[str, Any]) -> str:
    """What a decision is about: the annotation that it sets, or the block that it places."""
    if "place" in option:
        return f"place_{option['block']}"
    if "tile" in option:
        return f"tile_{sum(inst[0] == 'SamplePerfectTile' for inst in instructions[:at])}"
    (variable,) = instructions[at][3]
    users = [inst for inst in instructions if inst[0] == "Annotate" and variable in inst[1]]
    if not users:  # it splits a loop, into threads
        return f"threads_{sum(inst[0] == 'SampleCategorical' for inst in instructions[:at])}"
    name = str(users[0][2][0])
    before = sum(inst[0] == "Annotate" and inst[2] == [name] for inst in instructions[: instructions.index(users[0])])
    return name.rsplit(".", 1)[-1] + (f"_{before}" if before else "")


def _places(sch: Schedule, block: Any) -> list[int]:
    """Loops of the consumer that a block can be computed in, ascending; -1 is outside of them, -2 inlined."""
    found = set()
    for place in range(-2, _DEEPEST):
        trial = sch.copy()
        trial.sample_compute_location(block, decision=place)  # takes the nearest one that can be
        found.add(int(trial.trace.get_decision(trial.trace.insts[-1])))
    return sorted(found)


class _CpuDefaults:
    """Decisions of the schedule for a CPU that is measured first."""

    sum_parts = 2

    def __init__(self, cores: int) -> None:
        self._cores = cores

    def tile(self, extent: int, parts: int, last: bool) -> list[int]:
        """One vector or two as the innermost part; of a tile in registers, a few rows of them."""
        inner = longest(extent, _VECTOR if last else _ROWS)
        return [extent // inner, *[1] * (parts - 2), inner]

    def choice(self, values: list[int]) -> int:
        return values.index(_UNROLL) if _UNROLL in values else len(values) - 1

    def place(self, sch: Schedule, block: Any, places: list[int]) -> int:
        """The outermost loop that leaves enough to share among the cores, unless that repeats much; else outside."""
        name, flops = sch.get(block).name_hint, estimate_tir_flops(sch.mod)
        for place in (place for place in places if place >= 0):
            trial = sch.copy()
            loop = trial.sample_compute_location(name, decision=place)
            trial.compute_at(name, loop, preserve_unit_loops=True)
            jobs = prod(int(trial.get(loop).extent) for loop in trial.get_loops(name)[: place + 1])
            if jobs >= self._cores * _JOBS and estimate_tir_flops(trial.mod) <= 2 * flops:
                return place
        return -1 if -1 in places else places[0]
