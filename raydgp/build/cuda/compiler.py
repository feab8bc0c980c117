"""CUDA C to machine code for a chosen architecture, without a GPU, and what that code uses of the device."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from raydgp.build.cuda import nvrtc as cuda_nvrtc
from raydgp.build.cuda.source import quick
from raydgp.errors import CudaCompileError, InputError
from raydgp.records import Resources

_OPTIONS = ("--use_fast_math", "--ptxas-options=-v", "-w")
_ENTRY = re.compile(
    r"Compiling entry function '(?P<name>\w+)'.*?"
    r"(?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers(?:.*?(?P<shared>\d+) bytes smem)?",
)


@dataclass(frozen=True)
class Cubin:
    """Machine code, and the resources of each of its kernels."""

    code: bytes
    resources: tuple[Resources, ...]


def compile_source(source: str, arch: str) -> Cubin:
    """Compiles what TVM generated, by NVRTC if it knows the architecture, otherwise by nvcc.

    Args:
        arch: such as `sm_90`.

    Raises:
        CudaCompileError: the source does not compile.
        InputError: no compiler for the architecture is here.
    """
    text, headers = quick(source)
    if compiler_for(arch, headers) == "nvrtc":
        code, log = cuda_nvrtc.compile_cubin(text, arch, _OPTIONS, headers)
    else:
        code, log = _nvcc(text, arch)
    return Cubin(code, resources(log))


def compiler_for(arch: str, headers: tuple[str, ...] = ()) -> str:
    """`nvrtc` or `nvcc`, whichever `compile_source` takes for kernels that include the headers.

    Raises:
        InputError: neither is here.
    """
    if cuda_nvrtc.knows(arch, headers):
        return "nvrtc"
    if _nvcc_path() is not None:
        return "nvcc"
    raise InputError(f"no compiler for {arch}: pip install raydgp[cuda], or a CUDA toolkit (sm_70 needs CUDA 12)")


def resources(log: str) -> tuple[Resources, ...]:
    """The resources of each kernel, from what ptxas prints with -v."""
    flat = " ".join(log.split())
    return tuple(
        Resources(
            kernel=entry["name"],
            registers=int(entry["registers"]),
            spill_bytes=int(entry["stores"]) + int(entry["loads"]),
            shared_bytes=int(entry["shared"] or 0),
        )
        for part in re.split(r"(?=Compiling entry function)", flat)[1:]
        if (entry := _ENTRY.match(part))
    )


def _nvcc(source: str, arch: str) -> tuple[bytes, str]:
    with tempfile.TemporaryDirectory(prefix="raydgp-nvcc-") as folder:
        file, out = Path(folder) / "kernel.cu", Path(folder) / "kernel.cubin"
        file.write_text(source)
        command = [str(_nvcc_path()), "--cubin", f"-arch={arch}", *_OPTIONS, "-o", str(out), str(file)]
        answer = subprocess.run(command, capture_output=True, text=True)
        log = answer.stderr + answer.stdout
        if answer.returncode:
            lines = log.splitlines() or ["no message"]
            raise CudaCompileError(f"nvcc: {next((line for line in lines if 'error' in line), lines[-1])}")
        return out.read_bytes(), log


def _nvcc_path() -> str | None:
    return shutil.which("nvcc") or shutil.which("nvcc", path=f"{os.environ.get('CUDA_PATH', '/usr/local/cuda')}/bin")
