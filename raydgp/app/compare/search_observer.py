"""A search among others, told to the observer of all of them as one piece of work."""

from __future__ import annotations

from raydgp.app.observer import Observer, RunProgress, SilentObserver


class SearchObserver(SilentObserver):
    """Tells how far a run is; what it says beside that is left out, for there are many.

    Args:
        name: of the run.
        outer: is told.
    """

    def __init__(self, name: str, outer: Observer) -> None:
        self._name, self._outer = name, outer
        self._progress: RunProgress | None = None

    def started(self, progress: RunProgress) -> None:
        self._progress = progress

    def updated(self) -> None:
        if self._progress is None:
            return
        done, total = float(self._progress.measured), self._progress.total
        if total is None:
            done, left_s = self._progress.elapsed_s, self._progress.left_s
            total = round(done + left_s) if left_s else None
        if total is not None and done < total:
            self._outer.step(self._name, done, total, f"{self._progress.measured} measured")

    def finished(self) -> None:
        if self._progress:
            measured = self._progress.measured
            self._outer.step(self._name, measured, measured, f"{measured} measured")
        self._progress = None
