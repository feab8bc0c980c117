"""This machine's peak of single-precision arithmetic, measured: what a kernel's speed is a share of. Loads no TVM."""

from __future__ import annotations

from raydgp.errors import RaydgpError
from raydgp.sandbox.cpus import own_cores, thread_environment
from raydgp.sandbox.process import Child
from raydgp.targets import Target


def peak_of(target: Target, threads: int | None) -> float:
    """As `measured_peak_gflops`, by code for a target of this machine."""
    return measured_peak_gflops(threads, str(target))


def measured_peak_gflops(threads: int | None = None, target: str = "llvm") -> float:
    """10^9 floating-point operations a second of independent multiply-adds in registers, best of some repeats.

    Args:
        threads: as many, pinned to this process's first cores; one for each of them by default.
        target: whose code does it, as `Target.here` takes it.

    Raises:
        RaydgpError: the process that measures it cannot start or fails.
    """
    cpus = own_cores()[:threads]
    child = Child("raydgp.run.peak_child", [",".join(map(str, cpus)), target], thread_environment(len(cpus)))
    try:
        child.wait_ready()
        answer, _ = child.call({}, b"", timeout_s=60.0)
    finally:
        child.kill()
    if "error" in answer:
        raise RaydgpError(f"the peak cannot be measured: {answer['error']}")
    return float(answer["gflops"])
