"""Measurements in the T4 format of the autotuning community, which its tools plot and compare.

TuningSchema's results (https://github.com/odgaard/TuningSchema); times are in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from raydgp.records.measurement import Measurement, Status

_INVALIDITY = {
    Status.OK: "correct",
    Status.INVALID: "constraints",
    Status.BUILD_ERROR: "compile",
    Status.BUILD_TIMEOUT: "timeout",
    Status.RUN_ERROR: "runtime",
    Status.RUN_TIMEOUT: "timeout",
    Status.WRONG_ANSWER: "correctness",
    Status.RUNNER_LOST: "runtime",
}


def results(measured: Iterable[tuple[dict[str, Any], Measurement]]) -> dict[str, Any]:
    """A T4 document of configurations with their outcomes, in order, JSON-able."""
    return {
        "schema_version": "1.0.0",
        "metadata": {"timeunit": "milliseconds"},
        "results": [_result(knobs, each) for knobs, each in measured],
    }


def _result(knobs: dict[str, Any], measured: Measurement) -> dict[str, Any]:
    phases, ok = measured.phases, measured.ok
    return {
        "timestamp": datetime.fromtimestamp(measured.time_unix_s, UTC).isoformat(),
        "configuration": {name: list(v) if isinstance(v, tuple) else v for name, v in knobs.items()},
        "times": {
            "compilation_time": 1e3 * phases.build_s,
            "framework": 1e3 * phases.queue_s,
            "search_algorithm": 1e3 * (phases.propose_s + phases.learn_s),
            "validation": 0.0,
            "runtimes": [1e3 * time_s for time_s in measured.times_s],
        },
        "invalidity": _INVALIDITY[measured.status],
        "correctness": int(ok),
        "measurements": [{"name": "time", "value": 1e3 * measured.median_s, "unit": "ms"}] if ok else [],
        "objectives": ["time"],
    }
