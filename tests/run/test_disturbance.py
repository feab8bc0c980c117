"""Timings beside a process that takes the same processor, and by scripted waiting."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator

import pytest

from raydgp.run import disturbance
from raydgp.run.disturbance import LIMIT, least_disturbed, waited_s
from tests.support.processes import start_python

CALL_S = 2e-4
Timings = tuple[list[float], float]


@pytest.fixture
def shared_processor() -> Iterator[None]:
    """This thread on one processor, with a process beside it that always computes."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        with start_python("-c", "print(flush=True)\nwhile True: pass") as busy:
            assert busy.stdout
            busy.stdout.readline()
            yield
            busy.kill()
    finally:
        os.sched_setaffinity(0, before)


def compute(seconds: float) -> float:
    """Computes for so many seconds of its own, and says how many the clock has counted."""
    began, until = time.perf_counter(), time.thread_time() + seconds
    while time.thread_time() < until:
        pass
    return time.perf_counter() - began


def test_waiting_is_counted(shared_processor: None) -> None:
    before = waited_s()
    passed_s = compute(0.2)
    waited = waited_s() - before
    assert waited > 0.05
    assert waited == pytest.approx(passed_s - 0.2, rel=0.2)


def test_short_timings_find_the_turns_of_a_shared_processor(shared_processor: None) -> None:
    def timed(seconds: float) -> float:
        return compute(seconds) / seconds

    times, _ = least_disturbed(lambda count, _: [timed(0.02) for _ in range(count)], lambda _: timed(CALL_S), 3)
    assert max(times) < 1.2  # seconds by the clock for each of its own; 2 for the long ones


def scripted(monkeypatch: pytest.MonkeyPatch, shares: list[float]) -> None:
    """Says that threads waited for these shares of the timings, one after the other."""
    began, waited, left = 0.0, 0.0, [*shares]

    def wait() -> float:
        nonlocal began, waited
        if began:
            waited += left.pop(0) * (time.perf_counter() - began)
        began = 0.0 if began else time.perf_counter()
        return waited

    monkeypatch.setattr(disturbance, "waited_s", wait)


def repeats(*times_s: float) -> list[float]:
    compute(0.05)
    return list(times_s)


def script(*times_s: float, limit_s: float = math.inf, short: Callable[[], float] = lambda: 0.0) -> Timings:
    """What is made of repeats that would take so long; with a limit the first is measured alone."""
    left = [*times_s]

    def measured(count: int, call_s: float | None) -> list[float]:
        assert call_s == (None if len(left) == len(times_s) else times_s[0])
        now, left[:] = left[:count], left[count:]
        return repeats(*now)

    return least_disturbed(measured, lambda _: short(), len(times_s), limit_s)


def test_what_is_quiet_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [LIMIT / 2])
    times, share = script(3.0, 1.0, 2.0)
    assert times == [3.0, 1.0, 2.0]
    assert share == pytest.approx(LIMIT / 2, rel=0.1)


def test_quiet_ones_come_before_fast_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    short = iter([4.0, 1.0, 5.0, 6.0])
    scripted(monkeypatch, [0.5, 0.0, 0.5, 0.0, 0.0])
    times, share = script(8.0, 7.0, 9.0, short=lambda: next(short))
    assert (times, share) == ([4.0, 5.0, 6.0], 0.0)


def test_where_none_is_quiet_the_fastest_count(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [0.5] * 10)
    times, share = script(8.0, 2.0, short=lambda: repeats(3.0)[0])
    assert times == [2.0, 3.0]
    assert share == pytest.approx(0.5, rel=0.1)


def test_what_is_hopeless_is_timed_once_unless_it_was_disturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [0.0])
    assert script(8.0, 7.0, limit_s=7.5) == ([8.0], 0.0)
    scripted(monkeypatch, [0.0, 0.0])
    assert script(7.0, 8.0, limit_s=7.5) == ([7.0, 8.0], 0.0)
    scripted(monkeypatch, [0.5, 0.0, 0.0])
    assert script(8.0, 3.0, limit_s=7.5, short=lambda: 2.0) == ([2.0, 3.0], 0.0)
