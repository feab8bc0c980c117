"""This machine's GPU as its driver tells of it."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache

from raydgp.errors import InputError
from raydgp.sandbox.nvml import visible_gpu


@cache
def first_gpu() -> dict[str, str]:
    """What `nvidia-smi` says of the first visible GPU: name, driver_version, compute_cap.

    Raises:
        InputError: there is none.
    """
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
