"""An imported model run as it is, to be compared with its own framework before anything of it is tuned."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator
from tvm.s_tir.analysis import estimate_tir_flops

from raydgp.build.compile import link

Array = NDArray[Any]

_SMALL_FLOPS = 5e8  # of a model whose calls are over sooner without any optimisation than LLVM is done with some
_LARGE = 1024  # bytes of a constant that is kept out of what is compiled


def runnable(module: tvm.IRModule) -> Callable[[Sequence[Array]], list[Array]]:
    """A Relax module compiled for this processor in little time: unscheduled, with few of LLVM's optimisations.

    Returns:
        A function of arrays that gives the outputs, flat.
    """
    lifter = _Lifter(module)
    legal = relax.transform.LegalizeOps()(lifter.lifted())
    level = 0 if _flops(legal) < _SMALL_FLOPS else 1
    executable = tvm.compile(legal, target=tvm.target.Target({"kind": "llvm", "opt-level": level}))
    with tempfile.TemporaryDirectory(prefix="raydgp-check-") as folder:  # TVM's just-in-time compiler optimises always
        path = str(Path(folder) / "model.so")
        executable.export_library(path, fcompile=link, workspace_dir=folder, fpack_imports=_packed)
        machine = relax.VirtualMachine(tvm.runtime.load_module(path), tvm.cpu())

    def run(inputs: Sequence[Array]) -> list[Array]:
        given = [tvm.runtime.tensor(np.array(array, order="C")) for array in inputs]
        return list(_flat(machine["main"](*given, *lifter.constants)))

    return run


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
