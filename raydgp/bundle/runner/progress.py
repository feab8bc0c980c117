"""What the runner says while it works: lines, as most often nobody has a terminal there."""

from __future__ import annotations

import sys
import time
from collections import Counter

_EVERY_S = 10.0


class Progress:
    """Says at times how far it is.

    Args:
        done: kernels and models that were measured before.
        total: of the bundle.
        ends: monotonic time at which the budget ends.
    """

    def __init__(self, done: int, total: int, ends: float) -> None:
        self.done, self.total, self._ends = done, total, ends
        self.failures: Counter[str] = Counter()
        self._said = -_EVERY_S

    def finished(self, status: str) -> None:
        """Counts one more kernel or model."""
        self.done += 1
        if status != "ok":
            self.failures[status] += 1
        if time.monotonic() > self._said + _EVERY_S:
            self._said = time.monotonic()
            say(self.line())

    def line(self) -> str:
        kinds = ", ".join(f"{count} {status}" for status, count in self.failures.most_common())
        failed = f", failed: {kinds}" if kinds else ""
        return f"{self.done} of {self.total} kernels{failed}, {max(0.0, self._ends - time.monotonic()):.0f} s left"


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
