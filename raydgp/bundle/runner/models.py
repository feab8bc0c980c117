"""Whole models in the child: checked step by step, then timed."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from statistics import median
from typing import Any

from raydgp.bundle.runner.launcher import Launcher
from raydgp.bundle.runner.sequence import Line, LoadedModel, changed
from raydgp.sandbox.messages import Message

_MOST_CALLS = 50  # of those in which each step is timed


def measure(model: LoadedModel, line: Line, launcher: Launcher, settings: Mapping[str, Any]) -> Message:
    """Runs a model once, looking at each step's outputs, then times it as a whole, then each of its steps.

    Args:
        settings: dump of `raydgp.settings.MeasureSettings`.

    Returns:
        `status`, `error`, `times_s` of the whole, `steps_s`: median of each step, `timing_s`, `conditions`.
    """
    tolerance = settings["tolerance"]
    for step in range(len(line.steps)):
        model.run(step)
        for value in line.written(step):
            if error := line.fault(step, value, model.read(value), tolerance):
                return {"status": "wrong_answer", "error": error}, b""
    first = [model.read(value).copy() for value in line.outputs]
    began = time.perf_counter()
    number, times_s = model.times_s(settings)
    conditions = launcher.conditions() | model.conditions
    steps_s = model.step_times_s(min(_MOST_CALLS, number * len(times_s)))
    timing_s = time.perf_counter() - began
    if error := changed(first, [model.read(value) for value in line.outputs], tolerance):
        return {"status": "wrong_answer", "error": error}, b""
    if strange := [t for t in times_s if not (math.isfinite(t) and t > 0)]:
        return {"status": "run_error", "error": f"the clock gave impossible times {strange}"}, b""
    found = {"times_s": times_s, "steps_s": [median(each) for each in steps_s]}
    return {"status": "ok", "error": "", **found, "timing_s": timing_s, "conditions": conditions}, b""
