"""A scheduled module made into a library that holds machine code for a GPU, on a machine that need not have one.

Without a CUDA driver TVM compiles nothing: a library that it exports carries the kernels' source, to be compiled where
it is loaded. Here the source is compiled first and its place taken by the cubin, so that TVM's CUDA runtime loads the
library as it is.
"""

from __future__ import annotations

import os
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import tvm
import tvm_ffi

from raydgp.build.compile import CompiledKernel
from raydgp.build.cuda.compiler import compile_source
from raydgp.errors import RaydgpError
from raydgp.records import Resources
from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm


def cuda_source(module: tvm.IRModule, target: Target) -> str:
    """The CUDA C that TVM makes of a scheduled module."""
    return str(generate(module, target).imports[0].inspect_source())


def cuda_library(module: tvm.IRModule, target: Target) -> tuple[bytes, tuple[Resources, ...]]:
    """Compiles and links a scheduled module for the target's architecture.

    Returns:
        The bytes of an ELF shared library with `main` and the embedded cubin, and what each kernel uses of the device.

    Raises:
        CudaCompileError: the source does not compile.
        InputError: no compiler for the architecture is here.
    """
    host = generate(module, target)
    source = host.imports[0].inspect_source()
    cubin = compile_source(source, target.architecture)
    imports = tvm_ffi.get_global_func("runtime.ModulePackImportsToTensor")(host).numpy().tobytes()
    with tempfile.TemporaryDirectory(prefix="raydgp-build-") as folder:
        host.write_to_file(f"{folder}/host.o")
        (Path(folder) / "imports").write_bytes(with_cubin(imports, source, cubin.code))
        return _link(folder), cubin.resources


def compile_library(module: tvm.IRModule, target: Target) -> CompiledKernel:
    """`cuda_library` as `raydgp.build.compile` asks for it."""
    return CompiledKernel(*cuda_library(module, target))


def with_cubin(imports: bytes, source: str, cubin: bytes) -> bytes:
    """TVM's serialised imports of a host module, the source of its one CUDA module replaced by machine code.

    The layout: a length; the tree of modules; each module's kind and content. A CUDA module's content is its format
    (`cuda`, which is source, or `cubin`), its kernels' signatures, and the code. Every string is preceded by its
    length, all lengths are uint64.

    Raises:
        RaydgpError: the layout is another one.
    """
    kind = _string(b"cuda")
    tree, found, module = imports[8:].partition(kind)
    old, new, code = _string(b"cuda"), _string(b"cubin"), _string(source.encode())
    content = module[8:]
    if not (found and module[:8] == _length(content) and content.startswith(old) and content.endswith(code)):
        raise RaydgpError(f"this TVM ({tvm.__version__}) packs CUDA modules in an unknown way; install the pinned one")
    content = new + content.removeprefix(old).removesuffix(code) + _string(cubin)
    packed = tree + kind + _string(content)
    return _length(packed) + packed


def generate(module: tvm.IRModule, target: Target) -> Any:
    """The host's module, which imports the source of the kernels, also where there is a driver."""
    # NVIDIA's compiler finds common subexpressions itself and gives the same code, from half the source and in half the
    # time; the other pass takes a tenth of TVM's time and finds nothing in these kernels
    plain = tvm.transform.PassContext(config={"tirx.disable_cse_tir": True}, disabled_pass=["tirx.RemoveNoOp"])
    with mock.patch.dict(os.environ, TVM_COMPILE_FORCE_FALLBACK="1"), plain:
        return tvm.compile(module, target=to_tvm(target)).mod


def _length(content: bytes) -> bytes:
    return struct.pack("<Q", len(content))


def _string(content: bytes) -> bytes:
    return _length(content) + content


def _link(folder: str) -> bytes:
    """Links `host.o` with the file `imports` under the name by which TVM's loader looks for it."""
    name = "--defsym=__tvm_ffi__library_bin=_binary_imports_start"
    command = ["ld", "-shared", "-z", "noexecstack", name, "-o", "kernel.so", "host.o", "-b", "binary", "imports"]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if answer.returncode:
        raise RaydgpError(f"ld: {(answer.stderr.strip().splitlines() or ['no message'])[-1]}")
    return (Path(folder) / "kernel.so").read_bytes()
