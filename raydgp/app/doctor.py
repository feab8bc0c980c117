"""`raydgp doctor`: what this machine has for tuning, and what to do about what it lacks."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np

from raydgp.build.cuda.compiler import compiler_for
from raydgp.errors import InputError, RaydgpError
from raydgp.records import Measurement
from raydgp.run.peak import measured_peak_gflops
from raydgp.sandbox.child_loop import without_torch
from raydgp.sandbox.cpus import cpu_flags, cpu_name, own_cores
from raydgp.sandbox.nvml import all_gpus
from raydgp.settings import MeasureSettings, TrackingSettings
from raydgp.targets import Target
from raydgp.templates.spaces import config_space
from raydgp.tracking import check
from raydgp.workloads import Conv2d


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `absent` is fine for those who do not need it; `broken` stops the main job."""

    what: str
    state: Literal["ok", "absent", "broken"]
    detail: str
    remedy: str = ""


def examine() -> Iterator[Finding]:
    """Looks at everything in turn; each check is a real try, not a guess from a version."""
    checks: list[Callable[[], Finding]] = [_python, _cores, _linker, _tvm, _gpu, _cuda, _ray, _mlflow]
    for each in checks:
        yield each()


def cleaned() -> Finding:
    """Removes the temporary folders of runs that were killed, and says how many there were."""
    from raydgp.cluster.session import clean_left_overs  # loads Ray

    return Finding("left-overs", "ok", f"{len(clean_left_overs())} temporary folders of killed runs removed")


def _python() -> Finding:
    return Finding("Python", "ok", platform.python_version())


def _cores() -> Finding:
    cores = len(own_cores())
    flags = cpu_flags()
    vector = next((name for name in ("avx512f", "avx2", "avx", "asimd") if name in flags), "no vector unit known")
    return Finding("CPU", "ok", f"{cpu_name()}, {cores} cores, {vector}")


def _linker() -> Finding:
    path = shutil.which("gcc") or shutil.which("cc")
    if path:
        return Finding("linker", "ok", path)
    return Finding("linker", "broken", "no gcc or cc on the PATH", "install gcc, which links kernels into libraries")


def _tvm() -> Finding:
    ffi = importlib.metadata.version("apache-tvm-ffi")
    try:
        with ThreadPoolExecutor(1) as pool, without_torch():
            measured = pool.submit(measured_peak_gflops)  # in a process of its own, which loads TVM meanwhile
            # inside of the try, because it is TVM that is looked at
            from raydgp.targets.compiler import versions

            target = Target.here("llvm")
            peak = measured.result()
    except (RaydgpError, ImportError, OSError, RuntimeError) as error:
        return Finding("TVM", "broken", str(error).splitlines()[0], "reinstall with `pip install -c requirements.lock`")
    if ffi.startswith("0.1.15"):
        return Finding("TVM", "broken", f"apache-tvm-ffi {ffi}", "pip install apache-tvm-ffi==0.1.14.post1")
    return Finding(
        "TVM", "ok", f"{versions()['tvm']}, builds for {target.architecture}, measured peak {peak:.0f} GFLOPS"
    )


def _gpu() -> Finding:
    remedy = "target cuda needs an NVIDIA driver; target llvm does not"
    try:
        gpus = all_gpus()
    except InputError as error:
        return Finding("GPU", "absent", str(error), remedy)
    if not gpus:
        return Finding("GPU", "absent", "NVML sees none", remedy)
    seen = "; ".join(f"{gpu.name}, {gpu.driver}, {gpu.memory_bytes >> 20} MiB" for gpu in gpus)
    try:
        ran = _run_on_gpu()
    except RaydgpError as error:
        return Finding("GPU", "absent", f"{seen}: {error}", "reinstall with `pip install -c requirements.lock`")
    if not ran.ok:
        return Finding("GPU", "absent", f"{seen}: a kernel gives {ran.status}: {ran.error}", "look at its driver")
    return Finding("GPU", "ok", f"{seen}; a kernel ran in {1e6 * ran.median_s:.1f} us")


def _run_on_gpu() -> Measurement:
    """A small layer, built, checked and timed as in a search."""
    from raydgp.measure.local import LocalMeasurer  # loads TVM, which may be broken

    space = config_space(Conv2d(n=1, ci=16, h=14, w=14, co=16, kh=3, kw=3, padding=(1, 1)), "cuda")
    with LocalMeasurer(Target.here("cuda"), MeasureSettings(), workers=1) as measurer:
        return measurer.measure(space, np.array([space.default]))[0]


def _cuda() -> Finding:
    try:
        return Finding("CUDA compiler", "ok", compiler_for("sm_80"))
    except InputError as error:
        return Finding("CUDA compiler", "absent", "neither NVRTC nor nvcc", f"only for target cuda: {error}")


def _ray() -> Finding:
    address = os.environ.get("RAY_ADDRESS")
    where = f"will join {address}" if address else "starts by itself; set ray.address to join a cluster"
    return Finding("Ray", "ok", f"{importlib.metadata.version('ray')}, {where}")


def _mlflow() -> Finding:
    uri = TrackingSettings().uri
    try:
        check(uri)
    except RaydgpError as error:
        return Finding("MLflow", "broken", str(error), "start the server, or give another --mlflow-uri")
    return Finding("MLflow", "ok", f"{importlib.metadata.version('mlflow')}, {uri}")
