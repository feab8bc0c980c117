"""Kernels of an imported model made into workloads: a function with the schedules that are open to it.

The schedules are the design spaces of MetaSchedule (Shao et al., Tensor Program Optimization with Probabilistic
Programs, NeurIPS 2022), traces with sampling instructions; for kernels that are bound by memory, ours (`sketch_rules`).
"""

from __future__ import annotations

import json
from math import prod
from typing import Any

import tvm
from tvm.s_tir import Schedule, ScheduleError
from tvm.s_tir.analysis import estimate_tir_flops

from raydgp.errors import InputError
from raydgp.targets import Target
from raydgp.templates.traced.code import arrays, encode
from raydgp.templates.traced.design import DefaultDecisions, TracedRules, completed, rules_of
from raydgp.workloads import TracedKernel

_DEEPEST = 16  # loops around a block


def kernel(name: str, func: tvm.tirx.PrimFunc, target: Target) -> TracedKernel:
    """The workload of a function without a schedule.

    Args:
        name: for people.
        func: of dense arrays of fixed shapes, the last one the output.
        target: what it is for.

    Raises:
        InputError: shapes that are not fixed, several outputs, one that is not of float32, or nothing that would run.
    """
    rules = rules_of(target)
    if rules is None:
        raise InputError(f"kernel {name}: target {target.kind} has no rules for traced kernels")
    try:
        module = _normalised(name, func)
        made = [_running(schedule, module, rules, target) for schedule in rules.design(module, target)]
    except ScheduleError as error:  # a kernel that writes where its data say, as a scatter does
        raise InputError(f"kernel {name}: our rules do not apply to it") from error
    sketches = [sketch for sketch in made if sketch]
    if not sketches:
        raise InputError(
            f"kernel {name}: no schedule with our default decisions runs on {target.behaviour.description}"
        )
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
    if not all(sch.get(block).iter_vars for block in blocks):
        raise InputError(f"kernel {name}: its loops are written by hand, which leaves nothing to schedule")
    if not func.params[-1].shape:
        raise InputError(f"kernel {name}: its output is one number, which leaves nothing to schedule")
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


def _running(schedule: Schedule, module: tvm.IRModule, rules: TracedRules, target: Target) -> dict[str, Any] | None:
    """The sketch of a schedule with the first default decisions that run; None where none do."""
    sketches = (_sketch(schedule, module, defaults) for defaults in rules.defaults(target))
    return next((sketch for sketch in sketches if not completed(module, sketch["trace"], rules)[1]), None)


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
    if not users:  # it splits a loop, on a GPU into threads
        part = "threads" if any(inst[0] == "Bind" for inst in instructions) else "split"
        return f"{part}_{sum(inst[0] == 'SampleCategorical' for inst in instructions[:at])}"
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
