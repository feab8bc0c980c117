"""What a strategy is told of a measurement."""

from __future__ import annotations

from collections.abc import Sequence

from raydgp.records import Measurement

Outcome = tuple[float, bool, Sequence[float]]  # GFLOPS, whether it ran, GFLOPS of every repeat where they are known
FAILED: Outcome = (0.0, False, ())


def outcome(measured: Measurement, flops: int) -> Outcome:
    """GFLOPS of a measurement of a workload with so many operations."""
    if not measured.ok:
        return FAILED
    return measured.gflops(flops), True, [flops / t / 1e9 for t in measured.times_s]
