"""The time that a run may take: wall-clock time, from the call on, earlier starts of the same run included."""

from __future__ import annotations

import math
import time

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
