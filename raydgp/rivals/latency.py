"""Latencies of ways to run one model: each in a process of its own, all of them in turns, the others stopped.

Threads of TVM, torch and onnxruntime go on spinning for a while after a call, and a barrier of two threads that has to
share its processors takes several times as long: what waits for its turn must not run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from raydgp.errors import RaydgpError
from raydgp.sandbox.process import Child

_ROUND = 20  # timed calls of one way before it is the next one's turn
_WARM_UP = 5  # calls before them, which find the caches as the others left them
_SLOW_S = 0.5  # of a call: what is slower gets fewer of them
_SLOW_SHARE = 20
_TIMEOUT_S = 900.0


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Latencies of one way to run the model, in milliseconds.

    Attributes:
        runs: timed calls.
        median_low_ms, median_high_ms: 95 % confidence interval of the median, by bootstrap.
        variance_ms2: of a call, in square milliseconds.
        error: largest error of the output, relative to the largest magnitude expected.
    """

    runs: int
    mean_ms: float
    median_ms: float
    median_low_ms: float
    median_high_ms: float
    variance_ms2: float
    p95_ms: float
    error: float

    @classmethod
    def of(cls, times_s: Sequence[float], error: float) -> Latency:
        ms = np.asarray(times_s) * 1e3
        from scipy import stats  # takes a second, and importing or tuning a model needs none

        interval = stats.bootstrap(
            (ms,), np.median, n_resamples=999, method="percentile", rng=np.random.default_rng(0)
        ).confidence_interval
        return cls(
            runs=len(ms),
            mean_ms=float(ms.mean()),
            median_ms=float(np.median(ms)),
            median_low_ms=float(interval.low),
            median_high_ms=float(interval.high),
            variance_ms2=float(ms.var(ddof=1)),
            p95_ms=float(np.quantile(ms, 0.95)),
            error=error,
        )

    def to_dict(self) -> dict[str, float]:
        return {key: float(f"{value:.5g}") for key, value in asdict(self).items()}


def measure(
    ways: Mapping[str, Sequence[str]],
    runs: int,
    threads: int,
    on_calls: Callable[[str, int], None] = lambda name, calls: None,
) -> dict[str, Latency | str]:
    """Times the ways in turns, `_ROUND` calls at a time, so that whatever else the machine does hits all alike.

    Args:
        ways: name -> arguments of `raydgp.rivals.contender`.
        runs: calls of each after its warm-up; a twentieth for what takes over half a second.
        threads: of each.
        on_calls: told of every round.

    Returns:
        By name the latency, or in one line why there is none.
    """
    count = str(threads)
    environment = {"TVM_NUM_THREADS": count, "OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count}
    out: dict[str, Latency | str] = {}
    with ExitStack() as stack:
        children: dict[str, Child] = {}
        errors: dict[str, float] = {}
        wanted: dict[str, int] = {}
        times: dict[str, list[float]] = {name: [] for name in ways}
        for name, arguments in ways.items():
            child = Child("raydgp.rivals.contender", [*arguments, count], environment)
            stack.callback(child.kill)
            try:
                child.wait_ready()
                first = _turn(child, 3, 0)
                child.pause()
            except RaydgpError as error:
                out[name] = str(error)
                continue
            children[name], errors[name] = child, first["relative_error"]
            wanted[name] = runs if min(first["times_s"]) < _SLOW_S else max(3, runs // _SLOW_SHARE)
        while any(len(times[name]) < wanted[name] for name in children):
            for name, child in children.items():
                calls = min(_ROUND if wanted[name] == runs else 1, wanted[name] - len(times[name]))
                if calls:
                    child.resume()
                    times[name] += _turn(child, calls, _WARM_UP if wanted[name] == runs else 0)["times_s"]
                    child.pause()
                    on_calls(name, calls)
    return {name: Latency.of(times[name], errors[name]) if name in children else out[name] for name in ways}


def _turn(child: Child, runs: int, warm_up: int) -> dict[str, Any]:
    answer, _ = child.call({"runs": runs, "warm_up": warm_up}, b"", _TIMEOUT_S)
    if "times_s" not in answer:
        raise RaydgpError(answer["error"])
    return answer
