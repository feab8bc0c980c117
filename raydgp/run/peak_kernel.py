"""The kernel that reaches a processor's peak: nothing but multiply-adds in registers, compiled and timed."""

from __future__ import annotations

import numpy as np
import tvm
from tvm.script import tirx as T

from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm

ACCUMULATORS = 12  # vectors: over latency times throughput of every core, and fit 16 registers with two operands
_STEPS = 200_000
_REPEATS = 9


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


def reached_gflops(threads: int, target: str) -> float:
    """10^9 floating-point operations a second of this process's threads, the best of some repeats.

    Args:
        target: name of one of this machine.
    """
    here = Target.here(target)
    lanes = here.vector_bits // 32
    kernel = tvm.compile(multiply_adds(threads, lanes), target=to_tvm(here)).mod
    operands = tvm.runtime.tensor(np.full(2 * lanes, 0.5, np.float32))  # acc tends to 1: never denormal, slow
    out = tvm.runtime.empty((threads * ACCUMULATORS * lanes,), "float32")
    times = kernel.time_evaluator("main", tvm.cpu(), number=1, repeat=_REPEATS)(operands, out).results
    return float(2 * ACCUMULATORS * lanes * _STEPS * threads / min(times) / 1e9)
