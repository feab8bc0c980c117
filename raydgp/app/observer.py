"""Who is told how a run or a deployment goes on: a few calls, answered by a terminal, a log, or nobody."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Protocol

from raydgp.records.summary import RunSummary

PLAIN_INTERVAL_S = 15.0  # a log gets a line this often, a terminal is drawn anew
_LOGGER = logging.getLogger("raydgp")
_FEW = 6  # tasks that fit a line


class RunProgress:
    """How far a run is: what it has measured, of how much, and how long it still takes.

    Args:
        summary: of the run; whoever follows the journal keeps it up to date.
        total: measurements of the whole run; None where time alone is limited.
        allowed_s: seconds of tuning that are left now; None where measurements alone are limited.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        summary: RunSummary,
        total: int | None,
        allowed_s: float | None = None,
        peak_gflops: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.summary, self.total, self.peak_gflops = summary, total, peak_gflops
        self._allowed_s, self._clock = allowed_s, clock
        self._began_s, self._at_start = clock(), self.measured

    @property
    def measured(self) -> int:
        """Measurements so far, those of earlier starts of the run among them; never more than the total."""
        measured = self.summary.measured
        return measured if self.total is None else min(measured, self.total)

    @property
    def elapsed_s(self) -> float:
        """Seconds since this start of the run."""
        return self._clock() - self._began_s

    @property
    def left_s(self) -> float | None:
        """Seconds until the time or the measurements are used up, whichever comes first, at the rate of this start.

        None while nothing is known: no limit of time, and nothing measured yet.
        """
        elapsed_s, new = self.elapsed_s, self.measured - self._at_start
        left = [] if self._allowed_s is None else [max(0.0, self._allowed_s - elapsed_s)]
        if self.total is not None and new:
            left.append((self.total - self.measured) * elapsed_s / new)
        return min(left, default=None)


class Observer(Protocol):
    """What is told while something long goes on. All calls return at once; any thread may call."""

    def message(self, text: str) -> None:
        """One line to the user."""

    def started(self, progress: RunProgress) -> None:
        """A run begins to measure; `progress` stays up to date until `finished`."""

    def updated(self) -> None:
        """The progress of the run was looked at again; more may have been measured."""

    def finished(self) -> None:
        """What `started` began is over, also when it failed."""

    def step(self, name: str, done: float, total: float, detail: str = "") -> None:
        """So much of a piece of work is done; it is over when `done` reaches `total`.

        Args:
            name: of the piece; the same for all calls about it.
            detail: what is known of it by now.
        """


class SilentObserver:
    """Tells nobody."""

    def message(self, text: str) -> None: ...

    def started(self, progress: RunProgress) -> None: ...

    def updated(self) -> None: ...

    def finished(self) -> None: ...

    def step(self, name: str, done: float, total: float, detail: str = "") -> None: ...


class PlainObserver:
    """A line now and then, for logs.

    Args:
        say: takes one line; the logger `raydgp`, which is silent until it is configured, by default.
        interval_s: between two lines on the same work.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        say: Callable[[str], None] = _LOGGER.info,
        interval_s: float = PLAIN_INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say, self._interval_s, self._clock = say, interval_s, clock
        self._progress: RunProgress | None = None
        self._last_s: dict[str, float] = {}  # when each piece of work was last told of

    def message(self, text: str) -> None:
        self._say(text)

    def started(self, progress: RunProgress) -> None:
        self._progress = progress
        self._due("")

    def updated(self) -> None:
        if self._progress and self._due(""):
            self._say(progress_line(self._progress))

    def finished(self) -> None:
        if self._progress:
            self._say(progress_line(self._progress, left=False))
        self._progress = None
        self._last_s.pop("", None)

    def step(self, name: str, done: float, total: float, detail: str = "") -> None:
        if self._due(name) or done >= total:
            self._say(f"{name}: {done:.0f} of {total:.0f}{f'; {detail}' if detail else ''}")
        if done >= total:
            self._last_s.pop(name, None)

    def _due(self, name: str) -> bool:
        """Whether it is time for a line; the first comes after one interval."""
        now_s = self._clock()
        if now_s - self._last_s.setdefault(name, now_s) < self._interval_s:
            return False
        self._last_s[name] = now_s
        return True


def progress_line(progress: RunProgress, left: bool = True) -> str:
    """Where a run stands, in one line: measurements, the time left, and the best of its tasks or of all calls.

    Args:
        left: whether to say the time left.
    """
    of = "" if progress.total is None else f" of {progress.total}"
    parts = [f"{progress.measured}{of} measured"]
    if left:
        left_s = progress.left_s
        waiting = "the first are being built, so the time left is not known yet"
        parts.append(waiting if left_s is None else f"about {duration(left_s)} left")
    tasks, network = list(progress.summary.tasks.values()), progress.summary.network()
    if len(tasks) <= _FEW:
        best = ", ".join(f"{task.name} {task.gflops:.0f}" for task in tasks if task.best)
        parts += [f"best GFLOPS: {best}"] if best else []
    elif network.best_s:
        known = network.layers - len(network.unmeasured)
        parts.append(f"{known} of {network.layers} layers have a result: {network.best_s * 1e3:.2f} ms tuned")
        parts += [] if math.isnan(network.speedup) else [f"{network.speedup:.2f}x over the defaults"]
    return "; ".join(parts)


def duration(seconds: float) -> str:
    """Hours, minutes and seconds as `1:02:03`, `2:03` or `3 s`."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if whole < 60:
        return f"{whole} s"
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
