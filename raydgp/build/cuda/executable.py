"""A whole model's executable for a GPU, with the machine code of its kernels inside, made with or without a GPU."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tvm
import tvm_ffi

from raydgp.build.cuda.compiler import compile_source
from raydgp.build.cuda.library import generate, with_cubin
from raydgp.errors import RaydgpError
from raydgp.targets import Target


@dataclass(frozen=True, eq=False)
class CudaExecutable:
    """What `tvm.compile` makes of a Relax module, until it is exported: then its kernels are compiled.

    Attributes:
        mod: TVM's module, which imports the host's code and the source of the kernels.
        arch: what that is compiled for, such as `sm_90`.
    """

    mod: Any
    arch: str

    @property
    def source(self) -> str:
        """CUDA C of all kernels; empty where the model has none."""
        return "".join(module.inspect_source() for module in _imports(self.mod) if module.kind == "cuda")

    def export_library(self, path: str, fcompile: Callable[..., None]) -> None:
        """Writes a shared library that TVM's CUDA runtime loads as it is.

        Args:
            fcompile: links object files, as TVM's function of this name has it.

        Raises:
            CudaCompileError: the source does not compile.
            InputError: no compiler for the architecture is here.
        """
        self.mod.export_library(path, fcompile=fcompile, fpack_imports=self._pack)

    def _pack(self, module: Any, is_system_lib: bool, prefix: str, folder: str) -> str:
        """Everything but the host's code as an object file, under the name by which TVM's loader looks for it."""
        imports = tvm_ffi.get_global_func("runtime.ModulePackImportsToTensor")(module).numpy().tobytes()
        if source := self.source:
            imports = with_cubin(imports, source, compile_source(source, self.arch).code)
        (Path(folder) / "imports").write_bytes(imports)
        name = "--defsym=__tvm_ffi__library_bin=_binary_imports_start"
        command = ["ld", "-r", name, "-o", "imports.o", "-b", "binary", "imports"]
        answer = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if answer.returncode:
            raise RaydgpError(f"ld: {(answer.stderr.strip().splitlines() or ['no message'])[-1]}")
        return str(Path(folder) / "imports.o")


def compile_executable(module: tvm.IRModule, target: Target) -> CudaExecutable:
    """Compiles a Relax module, down to CUDA C; functions that nobody has scheduled get TVM's own rules (DLight)."""
    return CudaExecutable(generate(module, target), target.architecture)


def _imports(module: Any) -> Iterator[Any]:
    for imported in module.imports:
        yield imported
        yield from _imports(imported)
