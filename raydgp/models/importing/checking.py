"""An imported model run as it is, to be compared with its own framework before anything of it is tuned."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator
from tvm.s_tir import Schedule
from tvm.s_tir.analysis import estimate_tir_flops

from raydgp.build.compile import link

Array = NDArray[Any]

_SMALL_FLOPS = 5e8  # of a model whose calls are over sooner without any optimisation than LLVM is done with some
_LANES = 16
_LARGE = 1024  # bytes of a constant that is kept out of what is compiled


def runnable(module: tvm.IRModule) -> Callable[[Sequence[Array]], list[Array]]:
    """A Relax module compiled for this processor in little time: hardly scheduled, with few of LLVM's optimisations.

    Returns:
        A function of arrays that gives the outputs, flat.
    """
    lifter = _Lifter(module)
    legal = relax.transform.LegalizeOps()(lifter.lifted())
    level = 0
    if _flops(legal) >= _SMALL_FLOPS:
        level, legal = 1, _along_memory(legal)
    executable = tvm.compile(legal, target=tvm.target.Target({"kind": "llvm", "opt-level": level}))
    with tempfile.TemporaryDirectory(prefix="raydgp-check-") as folder:  # TVM's just-in-time compiler optimises always
        path = str(Path(folder) / "model.so")
        executable.export_library(path, fcompile=link, workspace_dir=folder, fpack_imports=_packed)
        machine = relax.VirtualMachine(tvm.runtime.load_module(path), tvm.cpu())

    def run(inputs: Sequence[Array]) -> list[Array]:
        given = [tvm.runtime.tensor(np.array(array, order="C")) for array in inputs]
        return list(_flat(machine["main"](*given, *lifter.constants)))

    return run


def _along_memory(module: tvm.IRModule) -> tvm.IRModule:
    """Sums with the output's last axis innermost: as TVM makes them, a matrix product of BERT takes seconds."""
    changed = {}
    for var, function in module.functions_items():
        if isinstance(function, tvm.tirx.PrimFunc):
            with contextlib.suppress(RuntimeError, ValueError):  # TVM's, of a form that this does not fit: it stays
                changed[var] = _reordered(function)
    for var, function in changed.items():
        module.update_func(var, function)
    return module


def _reordered(function: tvm.tirx.PrimFunc) -> tvm.tirx.PrimFunc:
    schedule = Schedule(tvm.IRModule({"main": function}), debug_mask=0, error_render_level="none")
    for block in schedule.get_child_blocks(schedule.get_sblock("root")):
        loops = schedule.get_loops(block)
        kinds = [iterator.iter_type for iterator in schedule.get(block).iter_vars]
        spatial, sums = ([loop for loop, kind in zip(loops, kinds, strict=True) if kind == wanted] for wanted in (0, 2))
        if not sums or not spatial or len(spatial) + len(sums) < len(loops):
            continue
        last = spatial[-1]
        schedule.reorder(*spatial[:-1], *sums, last)
        if int(schedule.get(last).extent) % _LANES == 0:
            schedule.vectorize(schedule.split(last, [None, _LANES])[1])
        schedule.decompose_reduction(block, sums[0])
    return schedule.mod["main"].with_attrs(dict(function.attrs or {}))


def _packed(module: Any, _: bool, __: str, folder: str) -> str:
    """Writes what is no machine code. Unoptimised, TVM takes a library for the system's one, of which there is one."""
    path = str(Path(folder) / "packed.o")
    pack = tvm.get_global_func("runtime.ModulePackImportsToLLVM")
    pack(module, False, '{"kind": "llvm"}', "").write_to_file(path)
    return path


@mutator
class _Lifter(PyExprMutator):
    """Makes the large constants of `main` its parameters, so that nobody writes them into a file."""

    def __init__(self, module: tvm.IRModule) -> None:
        super().__init__(module)
        self._module = module
        self._lifted: dict[Any, relax.Var] = {}
        self.constants: list[tvm.runtime.Tensor] = []

    def lifted(self) -> tvm.IRModule:
        main = self._module["main"]
        body = self.visit_expr(main.body)
        params = [*main.params, *self._lifted.values()]
        made = relax.Function(params, body, main.ret_ty, main.is_pure, main.attrs)
        self.builder_.update_func(self._module.get_global_var("main"), made)
        return self.builder_.get()

    def visit_constant_(self, constant: Any) -> relax.Expr:
        array = constant.value
        if constant in self._lifted or array.numpy().nbytes < _LARGE:
            return self._lifted.get(constant, constant)
        self.constants.append(array)
        return self._lifted.setdefault(constant, relax.Var(f"constant{len(self.constants)}", constant.ty))


def _flops(module: tvm.IRModule) -> float:
    """Of all functions of a legalised module, each once for each of its calls."""
    flops = 0.0
    for block in module["main"].body.blocks:
        for binding in block.bindings:
            value = binding.value
            if isinstance(value, relax.Call) and value.args and isinstance(value.args[0], tvm.ir.GlobalVar):
                flops += estimate_tir_flops(tvm.IRModule({"main": module[value.args[0]]}))
    return flops


def _flat(out: Any) -> Iterable[Array]:
    if isinstance(out, tvm.runtime.Tensor):
        yield out.numpy()
    else:
        for part in out:
            yield from _flat(part)
