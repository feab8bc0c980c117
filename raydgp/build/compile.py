"""One configuration made into a shared library."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tvm

from raydgp.build.launch import Launch
from raydgp.build.pipeline import PIPELINE
from raydgp.errors import BuildError
from raydgp.records import Resources
from raydgp.sandbox.child_loop import one_line
from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm
from raydgp.templates.registry import template_named
from raydgp.workloads import Workload


@dataclass(frozen=True)
class CompiledKernel:
    """Machine code, and what there is to know of each of its CUDA kernels; nothing for a CPU.

    Attributes:
        library: a shared library that TVM's runtime loads, or the cubin alone where there are launches.
        resources: what each kernel uses of the device.
        launches: how the kernels are launched, in order.
        workspaces: bytes of each buffer that only the launches share.
    """

    library: bytes
    resources: tuple[Resources, ...] = ()
    launches: tuple[Launch, ...] = ()
    workspaces: tuple[int, ...] = ()


def compile_kernel(
    template: str, workload: Workload, knobs: dict[str, Any], target: Target, part: str = "build"
) -> CompiledKernel:
    """Schedules, compiles and links one configuration that is statically valid.

    Args:
        template: name of the space's template.
        knobs: `ConfigSpace.decode` of the configuration.
        part: of `raydgp.targets.Kind` that makes the code, `build` or `parts`.

    Returns:
        An ELF shared library whose function `main` takes the arrays of `Template.pack`, then the output; by `parts`
        of a GPU its cubin, with the launches that take these arrays.

    Raises:
        BuildError: its schedule or its code does not compile.
    """
    try:
        module = template_named(template).schedule(workload, knobs, target)
        compiled: CompiledKernel = target.behaviour.part(part)(module, target)
        return compiled
    except BuildError:
        raise
    except Exception as error:  # TVM's errors share no narrower base
        raise BuildError(one_line(error)) from None


def compile_library(module: tvm.IRModule, target: Target) -> CompiledKernel:
    """The scheduled module as a shared library, by TVM's code generator alone."""
    executable = compile_executable(module, target)
    with tempfile.TemporaryDirectory(prefix="raydgp-build-") as folder:
        library = Path(folder) / "kernel.so"
        executable.export_library(str(library), fcompile=link, workspace_dir=folder)
        return CompiledKernel(library.read_bytes())


def compile_executable(module: tvm.IRModule, target: Target) -> Any:
    """A module or a whole model compiled by TVM's code generator; `export_library` writes it."""
    return tvm.compile(module, target=to_tvm(target), tir_pipeline=PIPELINE)


def link(library: str, objects: list[str], **_: Any) -> None:
    """Links with `ld`, which takes a fifth of the time of a compiler's driver; with that where `ld` is missing.

    A model without a kernel comes with a file of C in place of machine code, which takes a compiler.
    """
    names = ("gcc", "cc", "clang") if any(name.endswith(".c") for name in objects) else ("ld", "gcc", "cc", "clang")
    linker = next((name for name in names if shutil.which(name)), None)
    if linker is None:
        raise BuildError("no linker: install gcc or binutils")
    answer = subprocess.run(
        [linker, "-shared", "-z", "noexecstack", "-o", library, *objects], capture_output=True, text=True
    )
    if answer.returncode:
        raise BuildError(f"{linker}: {(answer.stderr.strip().splitlines() or ['no message'])[-1]}")
