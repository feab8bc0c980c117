"""NVRTC, NVIDIA's compiler in a library, through ctypes: the fastest way from CUDA C to a cubin.

The library comes with the package `nvidia-cuda-nvrtc` (extra `cuda`, with those of the headers) or with a CUDA toolkit.
No GPU and no driver is needed.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

from raydgp.errors import RaydgpError

_VERSIONS = (13, 12)  # the library's; 12 is the last one that knows sm_50 to sm_72


class NvrtcError(RaydgpError):
    """NVRTC refuses the source; the message is its log's first error."""


class Nvrtc(NamedTuple):
    """One version of NVRTC that is here."""

    library: ctypes.CDLL
    includes: tuple[Path, ...]  # folders of the headers that came with it
    architectures: tuple[int, ...]  # 90 for sm_90

    def knows(self, arch: str, headers: tuple[str, ...]) -> bool:
        """Whether it compiles for the architecture and has the headers."""
        number = int("".join(filter(str.isdigit, arch)))  # sm_90a is sm_90 with more instructions
        there = all(any((folder / header).exists() for folder in self.includes) for header in headers)
        return there and number in self.architectures


def compile_cubin(source: str, arch: str, options: tuple[str, ...], headers: tuple[str, ...] = ()) -> tuple[bytes, str]:
    """The machine code of a source for an architecture such as `sm_90`, and the compiler's log.

    Args:
        headers: that the source includes.

    Raises:
        NvrtcError: the source does not compile, or no NVRTC here can compile it (see `knows`).
    """
    found = _nvrtc_for(arch, headers)
    if found is None:
        raise NvrtcError(f"no NVRTC here compiles for {arch}")
    library, includes, _ = found
    program = ctypes.c_void_p()
    _check(library, library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None))
    try:
        folders = [f"--include-path={folder}" for folder in includes]
        flags = [flag.encode() for flag in (f"--gpu-architecture={arch}", *options, *folders)]
        status = library.nvrtcCompileProgram(program, len(flags), (ctypes.c_char_p * len(flags))(*flags))
        log = _take(library, program, "ProgramLog").rstrip(b"\0").decode(errors="replace")
        if status:
            lines = log.splitlines()
            raise NvrtcError(next((line for line in lines if "error" in line), lines[0] if lines else "no message"))
        return _take(library, program, "CUBIN"), log
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def knows(arch: str, headers: tuple[str, ...] = ()) -> bool:
    """Whether an NVRTC is here that compiles for the architecture and has the headers."""
    return _nvrtc_for(arch, headers) is not None


def _take(library: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> bytes:
    """NVRTC's two calls, size and content, in one."""
    size = ctypes.c_size_t()
    _check(library, getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    content = ctypes.create_string_buffer(size.value)
    _check(library, getattr(library, f"nvrtcGet{what}")(program, content))
    return content.raw


def _check(library: ctypes.CDLL, status: int) -> None:
    if status:
        raise NvrtcError(f"NVRTC: {library.nvrtcGetErrorString(status).decode()}")


@cache
def _nvrtc_for(arch: str, headers: tuple[str, ...]) -> Nvrtc | None:
    """The first of the libraries here that compiles for the architecture and has the headers."""
    return next((found for found in _libraries() if found.knows(arch, headers)), None)


@cache
def _libraries() -> list[Nvrtc]:
    """NVRTC of each version that is here, the newest first."""
    found = []
    for version in _VERSIONS:
        name = f"libnvrtc.so.{version}"
        for path in (*(folder / name for folder in _folders() if (folder / name).exists()), Path(name)):
            try:
                for builtins in path.parent.glob(f"libnvrtc-builtins.so.{version}*"):
                    ctypes.CDLL(str(builtins))  # NVRTC asks for it by its bare name
                library = ctypes.CDLL(str(path))
            except OSError:
                continue
            library.nvrtcGetErrorString.restype = ctypes.c_char_p
            found.append(Nvrtc(library, include_folders(path), _architectures(library)))
            break
    return found


def _folders() -> list[Path]:
    """Where NVIDIA's Python packages and toolkits keep their libraries."""
    spec = importlib.util.find_spec("nvidia")
    packages = [Path(root) for root in (spec.submodule_search_locations or [])] if spec else []
    wheels = [root / name / "lib" for root in packages for name in ("cu13", "cuda_nvrtc")]
    return [*wheels, _toolkit() / "lib64"]


def include_folders(library: Path) -> tuple[Path, ...]:
    """Where the headers of a library are: in its toolkit or package, or in the packages beside it (CUDA 12)."""
    root = library.parent.parent if library.is_absolute() else _toolkit()
    folders = [root, *(root.parent / name for name in ("cuda_runtime", "cuda_nvcc") if root.name == "cuda_nvrtc")]
    return tuple(folder / "include" for folder in folders)


def _toolkit() -> Path:
    return Path(os.environ.get("CUDA_PATH", "/usr/local/cuda"))


def _architectures(library: ctypes.CDLL) -> tuple[int, ...]:
    count = ctypes.c_int()
    _check(library, library.nvrtcGetNumSupportedArchs(ctypes.byref(count)))
    numbers = (ctypes.c_int * count.value)()
    _check(library, library.nvrtcGetSupportedArchs(numbers))
    return tuple(numbers)
