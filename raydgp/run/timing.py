"""A built kernel loaded, checked against the reference, and timed, in this process."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np
import tvm
import tvm_ffi

from raydgp.records import Status
from raydgp.run.disturbance import least_disturbed
from raydgp.settings import MeasureSettings
from raydgp.targets import kind_named
from raydgp.templates.base import Array, RoundingTemplate
from raydgp.templates.reference import random_inputs, reference
from raydgp.templates.registry import template_named
from raydgp.workloads import Fused, Workload

_SEED = 20210  # of the inputs: the same for all configurations of a workload

_MAX_COPIED_BYTES = 1 << 27  # of a layer's weight: more than the last cache of most processors
_MAX_COPIES = 256  # of a small weight: enough that it leaves the caches of a core
_FLUSH_BYTES = 1 << 28  # twice the largest second-level cache of a GPU
_SHORT = 0.05  # of a timing: as long as one is that takes the place of a disturbed one


class Timing(NamedTuple):
    """A checked and timed kernel.

    Attributes:
        times_s: seconds a call of every repeat; empty unless it is right.
        error: one line on what is wrong.
        waited: largest share of a repeat that threads of a CPU kernel waited for a processor that others had.
    """

    status: Status
    times_s: list[float]
    error: str = ""
    waited: float = 0.0


@lru_cache(maxsize=4)  # layers that search at the same time take turns
def case(workload: Workload, template: str) -> tuple[tuple[Array, ...], Array]:
    """Inputs in their logical layouts and the output they must give, kept for the next configurations.

    The output is that of the inputs as the template's kernels read them.
    """
    layout, inputs = template_named(template), random_inputs(workload, _SEED)
    read = layout.rounded(inputs) if isinstance(layout, RoundingTemplate) else inputs
    return inputs, reference(workload, read)


def measure(
    library: bytes,
    template: str,
    workload: Workload,
    knobs: dict[str, Any],
    kind: str,
    settings: MeasureSettings,
    limit_s: float = math.inf,
) -> Timing:
    """Checks and times a kernel; only once where the first timing takes longer a call than the limit.

    The answer is checked of the first call, into an output full of NaN, and of the last timed one, so that neither a
    kernel that leaves elements out nor one that goes wrong now and then may win.
    """
    inputs, expected = case(workload, template)
    layout = template_named(template)
    behaviour = kind_named(kind)
    device = tvm.device(behaviour.tvm_device, 0)
    module = load(library)
    kernel = module["main"]
    empty = np.full(layout.out_shape(workload, knobs), np.nan, np.float32)
    arrays = [tvm.runtime.tensor(array, device) for array in (*layout.pack(workload, knobs, inputs), empty)]

    def fault() -> str:
        return compare(layout.unpack(workload, knobs, arrays[-1].numpy()), expected, settings.tolerance)

    kernel(*arrays)
    device.sync()
    if error := fault():
        return Timing(Status.WRONG_ANSWER, [], error)
    clock, waited = _clock(settings), 0.0

    def repeats(count: int, call_s: float | None) -> list[float]:
        lasting = clock if call_s is None else _lasting(clock, 1.0, call_s)
        return _evaluated(module, device, arrays, {**lasting, "repeat": count})

    def short(call_s: float) -> float:
        return _evaluated(module, device, arrays, {**_lasting(clock, _SHORT, call_s), "repeat": 1})[0]

    if not behaviour.on_processors:
        times = repeats(1, None)
        times += repeats(settings.repeat - 1, times[0]) if times[0] <= limit_s and settings.repeat > 1 else []
    elif isinstance(workload, Fused) and settings.model_mb:
        times, waited = within_a_model(kernel, arrays, settings, settings.model_mb, limit_s)
    else:
        times, waited = least_disturbed(repeats, short, settings.repeat, limit_s)
    if error := fault():
        return Timing(Status.WRONG_ANSWER, [], f"after the timing: {error}")
    return Timing(Status.OK, times, waited=waited)


def _evaluated(module: Any, device: Any, arrays: list[Any], clock: dict[str, int]) -> list[float]:
    """Seconds a call of every repeat, by TVM's evaluator."""
    return list(module.time_evaluator("main", device, **clock)(*arrays).results)


def within_a_model(
    kernel: Callable[..., Any],
    arrays: list[Any],
    settings: MeasureSettings,
    model_mb: float,
    limit_s: float = math.inf,
) -> tuple[list[float], float]:
    """As `least_disturbed`, for a layer of a model on this machine's processors.

    Between two calls of the layer the model reads all its other weights; what the layer works on it has just written.
    So the weight is taken from copies in turn, that many bytes of them, and all else is where the last call left it.
    With one copy a layer of 38 MB of weights is timed out of a cache of 32 MB, and a kernel that reads more of them to
    compute less seems faster than it is (by half, seen with Winograd's).
    """
    data, weight, *rest = arrays
    size = 4 * math.prod(weight.shape)
    copies = min(_MAX_COPIES, math.ceil(min(1e6 * model_mb, _MAX_COPIED_BYTES) / size))
    weights = cycle([weight, *(tvm.runtime.tensor(weight.numpy()) for _ in range(copies - 1))])

    def seconds(number: int) -> float:
        began = time.perf_counter()
        for _ in range(number):
            kernel(data, next(weights), *rest)
        return (time.perf_counter() - began) / number

    def calls(lasting_s: float, call_s: float) -> int:
        return max(settings.number, math.ceil(lasting_s / call_s))

    least_s = 1e-3 * settings.min_repeat_ms
    number = calls(least_s, seconds(2))
    return least_disturbed(
        lambda count, _: [seconds(number) for _ in range(count)],
        lambda call_s: seconds(calls(_SHORT * least_s, call_s)),
        settings.repeat,
        limit_s,
    )


def _clock(settings: MeasureSettings) -> dict[str, int]:
    """How TVM's evaluator is to time.

    On a GPU it records one event of the device before the calls of a repeat and one behind them, and divides the time
    between the two: what the host does counts only while the device waits for the first of the calls. It flushes caches
    by a copy on the device before the first event, once a repeat, so that a second call of a repeat would be warm.
    """
    if settings.cold_cache:
        return {"number": 1, "repeat": settings.repeat, "cache_flush_bytes": _FLUSH_BYTES}
    return {"number": settings.number, "repeat": settings.repeat, "min_repeat_ms": settings.min_repeat_ms}


def _lasting(clock: dict[str, int], share: float, call_s: float) -> dict[str, int]:
    """The clock for a repeat of this share of its time. What a call takes is known, so TVM need not find it out."""
    least_s = 1e-3 * share * clock.get("min_repeat_ms", 0)
    rest = {key: value for key, value in clock.items() if key != "min_repeat_ms"}
    return {**rest, "number": max(clock["number"], math.ceil(least_s / call_s))}


def load(library: bytes) -> Any:
    """The TVM module of a shared library, unloaded when it is no longer referred to."""
    with tempfile.NamedTemporaryFile(suffix=".so") as file:  # a new name: dlopen gives an old library for an old one
        file.write(library)
        file.flush()
        return tvm_ffi.load_module(file.name, keep_module_alive=False)  # TVM's own wrapper never unloads


def compare(actual: Array, expected: Array, tolerance: float) -> str:
    """What is wrong with an answer, in one line; empty when nothing is.

    Args:
        tolerance: largest error, relative to the largest magnitude expected. NaN is an infinite error.
    """
    if actual.shape != expected.shape:
        return f"output of shape {actual.shape} where {expected.shape} is expected"
    if not np.isfinite(actual).all():
        return f"{np.count_nonzero(~np.isfinite(actual))} of {actual.size} output elements are NaN or infinite"
    error, scale = float(np.abs(actual - expected).max()), float(np.abs(expected).max())
    if error <= tolerance * scale:
        return ""
    return f"relative error {error / scale if scale else math.inf:.2g} is above the tolerance {tolerance:g}"
