"""A model lowered for several sizes of its inputs, made one: an entry for each size, kernels and weights once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from raydgp.models.lowering import Entry, Lowered
from raydgp.models.packing import Array
from raydgp.workloads import Task, Workload


def joined(parts: Sequence[Lowered]) -> Lowered:
    """One lowered model out of those for each size. Its first entry is `main`, and takes the first parameters.

    Equal kernels of different sizes are one task, called as often as all of them; other functions of one name get
    numbers.
    """
    if len(parts) == 1:
        return parts[0]
    joiner = _Joiner()
    for part in parts:
        joiner.add(part)
    return Lowered(
        joiner.module, list(joiner.tasks.values()), joiner.parameters, joiner.unscheduled, tuple(joiner.entries)
    )


class _Joiner:
    def __init__(self) -> None:
        self.module = tvm.IRModule()
        self.tasks: dict[Workload, Task] = {}
        self.parameters: list[Array] = []
        self.unscheduled: dict[str, int] = {}
        self.entries: list[Entry] = []
        self._places: dict[bytes, int] = {}  # of parameters, by their content

    def add(self, part: Lowered) -> None:
        workloads = {task.name: task for task in part.tasks}
        renamed: dict[tvm.ir.GlobalVar, tvm.ir.GlobalVar] = {}
        for var, function in part.module.functions_items():
            name = var.name_hint
            if name == "main":
                continue
            task = workloads.get(name)
            if task and (known := self.tasks.get(task.workload)):
                self.tasks[task.workload] = replace(known, count=known.count + task.count)
                renamed[var] = self.module.get_global_var(known.name)
                continue
            renamed[var] = self._added(self._free(name), function)
            if task:
                self.tasks[task.workload] = replace(task, name=renamed[var].name_hint)
            elif name in part.unscheduled:
                self.unscheduled[renamed[var].name_hint] = part.unscheduled[name]
        for name in part.unscheduled.keys() - {var.name_hint for var in renamed}:  # operators that are no functions
            self.unscheduled[name] = self.unscheduled.get(name, 0) + part.unscheduled[name]
        entry = self._free("main")
        main = _Renamer(renamed).visit_expr(part.module["main"])
        self._added(entry, main.with_attr("global_symbol", entry))
        self.entries.append(Entry(entry, tuple(map(self._place, part.parameters))))

    def _added(self, name: str, function: tvm.ir.BaseFunc) -> tvm.ir.GlobalVar:
        var = tvm.ir.GlobalVar(name)
        tvm.relax.expr._update_type(var, function.ty)
        self.module.update_func(var, function)
        return var

    def _free(self, name: str) -> str:
        taken = {var.name_hint for var in self.module.get_global_vars()}
        number = 0
        while (free := f"{name}_{number}" if number else name) in taken:
            number += 1
        return free

    def _place(self, array: Array) -> int:
        content = hashlib.sha256(f"{array.shape} {array.dtype}".encode() + array.tobytes()).digest()
        if content not in self._places:
            self._places[content] = len(self.parameters)
            self.parameters.append(array)
        return self._places[content]


@mutator
class _Renamer(PyExprMutator):
    """Functions called by other names."""

    def __init__(self, renamed: dict[tvm.ir.GlobalVar, tvm.ir.GlobalVar]) -> None:
        super().__init__()
        self._renamed = renamed

    def visit_global_var_(self, var: tvm.ir.GlobalVar) -> relax.Expr:
        return self._renamed.get(var, var)
