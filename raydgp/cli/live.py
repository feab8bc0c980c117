"""The observer of a terminal: the live table of a run above its bar, and bars for everything else that takes long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import click
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed
from rich.text import Text

from raydgp.app.json_observer import JsonObserver
from raydgp.app.observer import Observer, PlainObserver, RunProgress, SilentObserver, duration
from raydgp.cli.display import layer_table
from raydgp.cli.options import PROGRESS

_BELOW = 3  # lines of the terminal that the table leaves free: what it hides, the bar, the cursor's


def observer_of(console: Console) -> Observer:
    """As `--progress` says; by default live on a terminal, on anything else a plain line now and then."""
    context = click.get_current_context(silent=True)
    way = context.meta.get(PROGRESS, "auto") if context else "auto"
    if way == "quiet":
        return SilentObserver()
    if way == "json":
        return JsonObserver(lambda line: click.echo(line, file=console.file))
    if way == "auto" and console.is_terminal:
        return LiveObserver(console)
    return PlainObserver(lambda line: console.print(line, soft_wrap=True, markup=False, highlight=False))


def counted(observer: Observer, name: str) -> Callable[[int, int], None]:
    """Tells an observer of work by (done, of how many), with the time left at the rate since the first call."""
    first: list[tuple[float, int]] = []

    def tell(done: int, total: int) -> None:
        now_s = time.monotonic()
        began_s, at_start = first[0] if first else (now_s, done)
        first[:] = [(began_s, at_start)]
        left_s = (total - done) * (now_s - began_s) / (done - at_start) if done > at_start else None
        observer.step(name, done, total, "" if left_s is None else f"about {duration(left_s)} left")

    return tell


class _Left(ProgressColumn):
    """The time left as the run knows it: rich's own would not know of a limit in minutes."""

    max_refresh = 0.5

    def __init__(self, progress: RunProgress) -> None:
        super().__init__()
        self._progress = progress

    def render(self, task: Task) -> Text:
        left_s = self._progress.left_s
        return Text("" if left_s is None else f"about {duration(left_s)} left", style="progress.remaining")


class LiveObserver:
    """Draws on a terminal; what it drew is gone when the work is over, messages stay."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: RunProgress | None = None
        self._bar: Progress | None = None
        self._live: Live | None = None
        self._steps: Progress | None = None
        self._rows: dict[str, TaskID] = {}
        self._lock = threading.Lock()  # of the rows

    def message(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)

    def started(self, progress: RunProgress) -> None:
        self._progress = progress
        self._bar = Progress(BarColumn(20), MofNCompleteColumn(), TextColumn("measured,"), Elapsed(), _Left(progress))
        self._bar.add_task("", total=progress.total, completed=progress.measured)
        self._live = Live(self._drawn(), console=self._console, refresh_per_second=2, transient=True)
        self._live.start()

    def updated(self) -> None:
        if self._live and self._bar and self._progress:
            self._bar.update(self._bar.task_ids[0], completed=self._progress.measured)
            self._live.update(self._drawn())

    def finished(self) -> None:
        if self._live:
            self._live.stop()
        self._live = self._bar = self._progress = None

    def step(self, name: str, done: float, total: float, detail: str = "") -> None:
        with self._lock:
            self._step(name, done, total, detail)

    def _step(self, name: str, done: float, total: float, detail: str) -> None:
        if self._steps is None:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.percentage:.0f} %"),
            )
            self._steps = Progress(*columns, console=self._console, transient=True)
            self._steps.start()
        described = f"{name}: {detail}" if detail else name
        if name not in self._rows:
            self._rows[name] = self._steps.add_task(described, total=total)
        self._steps.update(self._rows[name], completed=done, description=described)
        if done >= total:
            self._steps.remove_task(self._rows.pop(name))
        if not self._rows:
            self._steps.stop()
            self._steps = None

    def _drawn(self) -> Group:
        """The table as far as the terminal has room for it, and always the bar."""
        assert self._progress
        assert self._bar
        summary, peak_gflops, console = self._progress.summary, self._progress.peak_gflops, self._console
        return Group(layer_table(summary, peak_gflops, console.width, console.height - _BELOW), self._bar)
