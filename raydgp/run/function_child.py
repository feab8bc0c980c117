"""`python -m raydgp.run.function_child FD CPUS`: the process that calls a user's function."""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Callable, Sequence
from typing import Any

from raydgp.records.measurement import Status
from raydgp.sandbox.child_loop import Handle, allow_torch, knobs_from_json, serve
from raydgp.sandbox.messages import Message


def start() -> Handle:
    import cloudpickle

    allow_torch()  # the function may use it
    measure: list[Callable[[dict[str, Any]], Any]] = []

    def handle(request: dict[str, Any], code: bytes) -> Message:
        if "knobs" not in request:
            path, function = cloudpickle.loads(code)
            sys.path.extend(entry for entry in path if entry not in sys.path)
            measure[:] = [cloudpickle.loads(function)]
            return {}, b""
        times_s = seconds_of(measure[0](knobs_from_json(request["knobs"])))
        return {"status": Status.OK, "times_s": times_s, "error": ""}, b""

    return handle


def seconds_of(found: Any) -> list[float]:
    """What a function returned, as seconds of the repeats.

    Raises:
        ValueError: it is neither a finite positive number nor several of them.
    """
    values = list(found) if isinstance(found, Sequence) and not isinstance(found, str) else [found]
    if hasattr(found, "tolist"):  # of numpy and the like
        values = list(found.tolist()) if getattr(found, "ndim", 0) else [found.tolist()]
    seconds = [float(value) for value in values if isinstance(value, numbers.Real)]
    if not values or len(seconds) < len(values) or not all(math.isfinite(value) and value > 0 for value in seconds):
        raise ValueError(f"it returned {found!r}, not the seconds of a call or of several")
    return seconds


if __name__ == "__main__":
    serve(start)
