"""Where a deployed model spends its time, by kernel, as its virtual machine calls them one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

import tvm
import tvm_ffi
from tvm import tirx
from tvm.tirx import FloatImm, IntImm

from raydgp.models.folder import Library

BUILTIN = "vm.builtin."  # what the virtual machine does itself: memory, shapes, tuples


@dataclass(frozen=True)
class Spent:
    """A kernel within one call of a model.

    Attributes:
        name: of its function; `BUILTIN` for all that the virtual machine does itself.
        calls: of it.
        seconds: of all of them together, the median over some calls of the model.
        moved: bytes of the arrays that all of them read and write.
    """

    name: str
    calls: int
    seconds: float
    moved: int


def profile(library: Library, runs: int) -> list[Spent]:
    """Calls a model on its sample some times and tells its kernels apart, in the order of their first calls.

    What it costs to look is measured by the cheapest thing that the virtual machine does, and taken off every call.
    """
    arguments = library.prepare(library.inputs)
    library.call(arguments)
    rounds = [library.timed(arguments) for _ in range(runs)]
    looking = min((step.seconds for steps in rounds for step in steps if step.name.startswith(BUILTIN)), default=0.0)
    found = []
    for name in dict.fromkeys(_kind(step.name) for step in rounds[0]):
        own = [[step for step in steps if _kind(step.name) == name] for steps in rounds]
        seconds = median(sum(max(0.0, step.seconds - looking) for step in steps) for steps in own)
        found.append(Spent(name, len(own[0]), seconds, 0 if name == BUILTIN else sum(step.moved for step in own[0])))
    return found


def _kind(name: str) -> str:
    return BUILTIN if name.startswith(BUILTIN) else name


def copies(module: tvm.IRModule) -> set[str]:
    """The functions of a module that move numbers and compute none: transposes, paddings, concatenations."""
    functions = {var.name_hint: function for var, function in module.functions_items()}
    return {name for name, function in functions.items() if isinstance(function, tirx.PrimFunc) and _moves(function)}


def _moves(function: tirx.PrimFunc) -> bool:
    stored: list[Any] = []
    tvm_ffi.structural_walk(function.body, (tirx.BufferStore, lambda store: stored.append(store.value)))
    return bool(stored) and all(map(_moved, stored))


def _moved(value: Any) -> bool:
    """Whether a value is a number of an array, or a constant, or one of the two by place."""
    if isinstance(value, tirx.Select):
        return _moved(value.true_value) and _moved(value.false_value)
    if isinstance(value, tvm.ir.Call) and value.op.name == "prim.if_then_else":
        return all(map(_moved, value.args[1:]))
    return isinstance(value, tvm.ir.TensorLoad | IntImm | FloatImm)
