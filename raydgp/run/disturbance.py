"""Timings that other processes got in the way of, taken again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

LIMIT = 0.02  # share of a timing that threads may have waited: quiet machines stay below a hundredth
_MORE = 2.0  # times as long as the first timings took, for others in their place
_THREADS = Path("/proc/self/task")
_T = TypeVar("_T")


def waited_s() -> float:
    """Seconds that this process's threads could have run and did not get a processor, all of them together.

    By Linux's scheduler statistics; 0 where they are not kept.
    """
    waited_ns = 0
    for statistics in _THREADS.glob("*/schedstat"):
        with suppress(OSError):  # the thread has ended
            waited_ns += int(statistics.read_text().split()[1])
    return 1e-9 * waited_ns


def least_disturbed(
    repeats: Callable[[int, float | None], list[float]],
    short: Callable[[float], float],
    count: int,
    limit_s: float = math.inf,
) -> tuple[list[float], float]:
    """Repeats of a timing, those that were disturbed replaced as far as time allows.

    What takes its place is short: on a shared processor, turns last some milliseconds, and a timing that fits into one
    is not disturbed at all.

    Args:
        repeats: seconds a call in each of so many repeats, as on a quiet machine, given those of a call if known.
        short: seconds a call in one short repeat, given the seconds of a call.
        count: of the repeats.
        limit_s: seconds a call beyond which an undisturbed first repeat stays the only one.

    Returns:
        As many repeats as there were, of all that were taken: those that were not disturbed, then the fastest, since
        others only ever make it slower. And the largest share of one of them that threads waited for a processor.
    """
    began, split = time.monotonic(), count > 1 and math.isfinite(limit_s)
    times, share = _watched(lambda: repeats(1 if split else count, None))
    found = [(share, each) for each in times]
    if split:
        if share <= LIMIT and times[0] > limit_s:
            return times, share
        rest, share = _watched(lambda: repeats(count - 1, times[0]))
        found += [(share, each) for each in rest]
    fastest = min(each for _, each in found)
    until = time.monotonic() + _MORE * (time.monotonic() - began)
    while sum(share <= LIMIT for share, _ in found) < count and time.monotonic() < until:
        seconds, share = _watched(lambda: short(fastest))
        found.append((share, seconds))
    best = sorted(found, key=lambda each: (each[0] > LIMIT, each[1])) if len(found) > count else found
    return [seconds for _, seconds in best[:count]], max(share for share, _ in best[:count])


def _watched(what: Callable[[], _T]) -> tuple[_T, float]:
    """What it gives, and the share of its time that threads waited."""
    began, waited = time.perf_counter(), waited_s()
    result = what()
    return result, (waited_s() - waited) / (time.perf_counter() - began)
