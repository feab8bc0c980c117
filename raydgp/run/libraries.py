"""The libraries of TVM that run a kernel, without its compiler."""

from __future__ import annotations

from pathlib import Path

import tvm
from tvm_ffi import libinfo


def runtime_libraries() -> list[Path]:
    """What a process loads, in this order, to load and run a kernel's library: those of the installed packages."""
    return [Path(libinfo.find_libtvm_ffi()), Path(tvm.__file__).parent / "lib" / "libtvm_runtime.so"]
