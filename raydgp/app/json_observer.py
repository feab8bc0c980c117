"""The observer of programs: what goes on as lines of JSON, one object each."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from raydgp.app.observer import RunProgress

_INTERVAL_S = 1.0


class JsonObserver:
    """A line for each message, and for each piece of work and the run one a second and one at its end.

    Every line has `event` (`message`, `step`, `progress` or `finished`) and `time_unix_s`. A step has `name`, `done`,
    `total` and `detail`; progress has `measured`, `total`, `elapsed_s`, `left_s` (None while unknown), `failed`, and
    `best_ms`, the sum over what is known of the layers.

    Args:
        say: takes one line.
        clock: monotonic, in seconds.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._progress: RunProgress | None = None
        self._last_s: dict[str, float] = {}

    def message(self, text: str) -> None:
        self._tell("message", text=text)

    def started(self, progress: RunProgress) -> None:
        self._progress = progress
        self.updated()

    def updated(self) -> None:
        if self._progress and self._due(""):
            self._tell("progress", **_of(self._progress))

    def finished(self) -> None:
        if self._progress:
            self._tell("finished", **_of(self._progress))
        self._progress = None
        self._last_s.pop("", None)

    def step(self, name: str, done: float, total: float, detail: str = "") -> None:
        if self._due(name) or done >= total:
            self._tell("step", name=name, done=done, total=total, detail=detail)
        if done >= total:
            self._last_s.pop(name, None)

    def _due(self, name: str) -> bool:
        now_s = self._clock()
        if now_s - self._last_s.get(name, -_INTERVAL_S) < _INTERVAL_S:
            return False
        self._last_s[name] = now_s
        return True

    def _tell(self, event: str, **fields: Any) -> None:
        self._say(json.dumps({"event": event, "time_unix_s": round(time.time(), 3), **fields}))


def _of(progress: RunProgress) -> dict[str, Any]:
    left_s, network = progress.left_s, progress.summary.network()
    return {
        "measured": progress.measured,
        "total": progress.total,
        "failed": progress.summary.failed,
        "elapsed_s": round(progress.elapsed_s, 1),
        "left_s": None if left_s is None else round(left_s, 1),
        "best_ms": 1e3 * network.best_s,
    }
