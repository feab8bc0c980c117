"""The hardware here, as a target that TVM compiles for."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import tvm
from tvm.target import codegen

import raydgp
from raydgp.errors import InputError
from raydgp.sandbox.cpus import own_cores
from raydgp.sandbox.nvml import visible_gpu

_CUDA_LIMITS = {"max_threads_per_block": 1024, "max_shared_memory_per_block": 49152, "thread_warp_size": 32}
_OLDEST = "sm_75"  # that CUDA 13 knows


def host_target(kind: str) -> dict[str, Any]:
    """The attributes of this machine's target of a kind, `llvm` or `cuda`.

    Raises:
        InputError: unknown kind, or `cuda` on a machine without a GPU.
    """
    if kind == "llvm":
        return {"kind": "llvm", "mcpu": codegen.llvm_get_system_cpu(), "num-cores": len(own_cores())}
    if kind == "cuda":
        capability = _first_gpu()["compute_cap"]
        return {"kind": "cuda", "arch": "sm_" + capability.replace(".", ""), **_CUDA_LIMITS}
    raise InputError(f"unknown target {kind!r}; known are cuda, llvm")


def any_gpu() -> dict[str, Any]:
    """A `cuda` target of which nothing is known: enough to tell a model's kernels apart, where no GPU is at hand."""
    return {"kind": "cuda", "arch": _OLDEST, **_CUDA_LIMITS}


def to_tvm(target: dict[str, Any]) -> tvm.target.Target:
    """The same target in TVM's own type; a GPU's host code, which but launches kernels, is for this machine's CPU."""
    host = {"kind": "llvm", "mcpu": codegen.llvm_get_system_cpu(), "opt-level": 0}
    return tvm.target.Target(target, host=host if target["kind"] == "cuda" else None)


def describe_device(target: dict[str, Any], threads: int | None = None) -> dict[str, Any]:
    """What a record says of the device: kind, name, and cores (llvm) or driver (cuda).

    Args:
        threads: of a CPU kernel, if they are to be said too.

    Raises:
        InputError: a `cuda` target on a machine without a GPU.
    """
    if target["kind"] == "cuda":
        gpu = _first_gpu()
        return {"kind": "cuda", "name": gpu["name"], "driver": gpu["driver_version"], "arch": target["arch"]}
    said = {"kind": "llvm", "name": _cpu_name(), "mcpu": target["mcpu"], "cores": len(own_cores())}
    return said if threads is None else {**said, "threads": threads}


def versions() -> dict[str, str]:
    """What shapes a kernel besides its configuration."""
    return {
        "raydgp": raydgp.__version__,
        "tvm": tvm.__version__,
        "llvm": str(codegen.llvm_version_major()),
        "python": platform.python_version(),
    }


def _cpu_name() -> str:
    """The model's name from /proc/cpuinfo, which some architectures lack."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return found[1].strip() if found else platform.machine()


@cache
def _first_gpu() -> dict[str, str]:
    """What `nvidia-smi` says of the first visible GPU: name, driver_version, compute_cap."""
    fields = ["name", "driver_version", "compute_cap"]
    remedy = "no NVIDIA GPU here; use target llvm, or run on a machine with a GPU and its driver"
    if shutil.which("nvidia-smi") is None or not visible_gpu():
        raise InputError(remedy)
    command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader", f"--id={visible_gpu()}"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    lines = answer.stdout.splitlines()
    if answer.returncode or not lines:
        raise InputError(remedy)
    return dict(zip(fields, (part.strip() for part in lines[0].split(",")), strict=True))
