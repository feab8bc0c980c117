"""NVRTC, NVIDIA's compiler in a library: the fastest way from CUDA C to a cubin.

It is called through `cuda-bindings`. The extra `cuda` brings the bindings, the library (`nvidia-cuda-nvrtc`) and its
headers; a CUDA toolkit of the bindings' major version also has the latter two. No GPU and no driver is needed.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from raydgp.errors import CudaCompileError


class Nvrtc(NamedTuple):
    """The NVRTC that is here."""

    bindings: Any  # the module cuda.bindings.nvrtc
    includes: tuple[Path, ...]  # folders of the headers that came with the library
    architectures: tuple[int, ...]  # 90 for sm_90

    def knows(self, arch: str, headers: tuple[str, ...]) -> bool:
        """Tells whether it compiles for the architecture and has the headers."""
        number = int("".join(filter(str.isdigit, arch)))  # sm_90a is sm_90 with more instructions
        there = all(any((folder / header).exists() for folder in self.includes) for header in headers)
        return there and number in self.architectures


def compile_cubin(source: str, arch: str, options: tuple[str, ...], headers: tuple[str, ...] = ()) -> tuple[bytes, str]:
    """Compiles a source for an architecture such as `sm_90`.

    Args:
        headers: that the source includes.

    Returns:
        The machine code, and the compiler's log.

    Raises:
        CudaCompileError: the source does not compile, or no NVRTC here can compile it (see `knows`).
    """
    found = _found()
    if found is None or not found.knows(arch, headers):
        raise CudaCompileError(f"no NVRTC here compiles for {arch}")
    nvrtc = found.bindings
    folders = [f"--include-path={folder}" for folder in found.includes]
    flags = [flag.encode() for flag in (f"--gpu-architecture={arch}", *options, *folders)]
    program = _checked(nvrtc, nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, None, None))
    try:
        (status,) = nvrtc.nvrtcCompileProgram(program, len(flags), flags)
        log = _taken(nvrtc, program, "ProgramLog").rstrip(b"\0").decode(errors="replace")
        if status:
            lines = log.splitlines()
            raise CudaCompileError(
                next((line for line in lines if "error" in line), lines[0] if lines else "no message")
            )
        return _taken(nvrtc, program, "CUBIN"), log
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def knows(arch: str, headers: tuple[str, ...] = ()) -> bool:
    """Tells whether an NVRTC is here that compiles for the architecture and has the headers."""
    found = _found()
    return found is not None and found.knows(arch, headers)


def include_folders(library: Path) -> tuple[Path, ...]:
    """Returns the folders of a library's headers: in its toolkit or package, or in the packages beside it (CUDA 12)."""
    root = library.parent.parent
    if not (root / "include").is_dir():  # the system's library
        root = Path(os.environ.get("CUDA_PATH", "/usr/local/cuda"))
    folders = [root, *(root.parent / name for name in ("cuda_runtime", "cuda_nvcc") if root.name == "cuda_nvrtc")]
    return tuple(folder / "include" for folder in folders)


@cache
def _found() -> Nvrtc | None:
    """Returns the library that the bindings load; None unless both are here."""
    try:
        from cuda.bindings import nvrtc  # of an extra
        from cuda.pathfinder import load_nvidia_dynamic_lib

        library = Path(load_nvidia_dynamic_lib("nvrtc").abs_path or "/")
        architectures = _checked(nvrtc, nvrtc.nvrtcGetSupportedArchs())
    except (ImportError, RuntimeError):  # no bindings, or they find no library
        return None
    return Nvrtc(nvrtc, include_folders(library), tuple(architectures))


def _taken(nvrtc: Any, program: Any, what: str) -> bytes:
    """Makes NVRTC's two calls, for the size and for the content."""
    content = bytearray(_checked(nvrtc, getattr(nvrtc, f"nvrtcGet{what}Size")(program)))
    _checked(nvrtc, getattr(nvrtc, f"nvrtcGet{what}")(program, content))  # writes into it
    return bytes(content)


def _checked(nvrtc: Any, answer: tuple[Any, ...]) -> Any:
    """Returns what a call gives beside its status, or None; raises CudaCompileError where the status is an error."""
    status, *values = answer
    if status:
        _, name = nvrtc.nvrtcGetErrorString(status)
        raise CudaCompileError(f"NVRTC: {name.decode()}")
    return values[0] if values else None
