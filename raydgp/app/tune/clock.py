"""The time that a run may take, wall-clock time from the call on with earlier starts of the same run; where it went."""

from __future__ import annotations

import math
import time

from raydgp.app.observer import duration

_END_S = 5.0  # that Ray and MLflow take to end


class Clock:
    """What is spent and left of a budget in minutes.

    Args:
        minutes: that the run may take; None: as many as it likes.
        before_s: seconds that earlier starts have taken.
        began_s: `time.monotonic()` when this start began.
    """

    def __init__(self, minutes: float | None, before_s: float, began_s: float) -> None:
        self._allowed_s = math.inf if minutes is None else 60 * minutes
        self._before_s, self._began_s = before_s, began_s

    @property
    def spent_s(self) -> float:
        return self._before_s + time.monotonic() - self._began_s

    @property
    def left_s(self) -> float:
        """For the search; infinite where nothing limits it, negative once it is late."""
        return self._allowed_s - self.spent_s - _END_S

    @property
    def until_unix_s(self) -> float | None:
        """When the time is over, for other processes; None where nothing limits it."""
        return None if math.isinf(self._allowed_s) else time.time() + self.left_s


class Laps:
    """What the time of a command went to, one thing after the other."""

    def __init__(self) -> None:
        self._last_s = time.monotonic()
        self._laps: dict[str, float] = {}

    def lap(self, what: str) -> None:
        """What the time since the last call, or since the beginning, went to."""
        now_s = time.monotonic()
        self._laps[what] = self._laps.get(what, 0.0) + now_s - self._last_s
        self._last_s = now_s

    def __str__(self) -> str:
        """In one line, without what took no second."""
        parts = [f"{what} {duration(seconds)}" for what, seconds in self._laps.items() if seconds >= 1]
        return f"Time: {', '.join(parts)}; in all {duration(sum(self._laps.values()))}."
