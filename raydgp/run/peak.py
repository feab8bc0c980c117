"""This machine's peak of single-precision arithmetic, measured: what a kernel's speed is a share of."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import tvm
from tvm.script import tirx as T

from raydgp.errors import RaydgpError
from raydgp.run.threads import pin_threads
from raydgp.sandbox.child_loop import Handle, serve
from raydgp.sandbox.cpus import own_cores, thread_environment
from raydgp.sandbox.messages import Message
from raydgp.sandbox.process import Child
from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm

ACCUMULATORS = 12  # vectors: over latency times throughput of every core, and fit 16 registers with two operands
_STEPS = 200_000
_REPEATS = 9


def measured_peak_gflops(threads: int | None = None) -> float:
    """10^9 floating-point operations a second of independent multiply-adds in registers, best of some repeats.

    Args:
        threads: as many, pinned to this process's first cores; one for each of them by default.

    Raises:
        RaydgpError: the process that measures it cannot start or fails.
    """
    cpus = own_cores()[:threads]
    child = Child("raydgp.run.peak", [",".join(map(str, cpus))], thread_environment(len(cpus)))
    try:
        child.wait_ready()
        answer, _ = child.call({}, b"", timeout_s=60.0)
    finally:
        child.kill()
    if "error" in answer:
        raise RaydgpError(f"the peak cannot be measured: {answer['error']}")
    return float(answer["gflops"])


def multiply_adds(threads: int, lanes: int, steps: int = _STEPS) -> tvm.tirx.PrimFunc:
    """Each thread runs `steps` steps of `ACCUMULATORS` independent vectors of `lanes`: acc = acc * x + y."""
    width = ACCUMULATORS * lanes

    @T.prim_func
    def main(
        operands: T.Buffer((2 * lanes,), "float32"),  # type: ignore[valid-type]
        out: T.Buffer((threads * width,), "float32"),  # type: ignore[valid-type]
    ) -> None:
        T.func_attr({"tirx.noalias": True})  # else every step stores its accumulators
        for thread in T.parallel(threads):
            acc = T.alloc_buffer((width,), "float32", scope="local")
            for k in T.unroll(ACCUMULATORS):
                for lane in T.vectorized(lanes):
                    acc[k * lanes + lane] = T.float32(0)
            for _ in T.serial(steps):
                for k in T.unroll(ACCUMULATORS):
                    for lane in T.vectorized(lanes):
                        acc[k * lanes + lane] = acc[k * lanes + lane] * operands[lane] + operands[lanes + lane]
            for k in T.unroll(ACCUMULATORS):
                for lane in T.vectorized(lanes):
                    out[thread * width + k * lanes + lane] = acc[k * lanes + lane]

    return main


def start() -> Handle:
    cpus = [int(cpu) for cpu in sys.argv[2].split(",")]
    pin_threads(cpus)
    here = Target.here("llvm")
    lanes, target = here.vector_bits // 32, to_tvm(here)

    def handle(request: dict[str, Any], _: bytes) -> Message:
        kernel = tvm.compile(multiply_adds(len(cpus), lanes), target=target).mod
        operands = tvm.runtime.tensor(np.full(2 * lanes, 0.5, np.float32))  # acc tends to 1: never denormal, slow
        out = tvm.runtime.empty((len(cpus) * ACCUMULATORS * lanes,), "float32")
        times = kernel.time_evaluator("main", tvm.cpu(), number=1, repeat=_REPEATS)(operands, out).results
        return {"gflops": 2 * ACCUMULATORS * lanes * _STEPS * len(cpus) / min(times) / 1e9}, b""

    return handle


if __name__ == "__main__":
    serve(start)
