"""From settings to an outcome. The journal is the only truth: resume, report and table read it by the same code."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raydgp import tracking
from raydgp.app.observer import Observer, RunProgress
from raydgp.app.tune.planning import plan, strategy_of
from raydgp.app.tune.resuming import finished, manifest_of, records_so_far
from raydgp.app.tune.rounds import tune_by_gain
from raydgp.errors import Stopped
from raydgp.records import Record
from raydgp.records.history import first
from raydgp.records.journal import Follower, scan
from raydgp.records.manifest import JOURNAL_NAME, RunManifest
from raydgp.records.summary import RunSummary, TaskSummary
from raydgp.settings import TuneSettings
from raydgp.workloads import Task, from_dict

_POLL_S = 0.5
_SYNC_TIMEOUT_S = 30.0  # MLflow follows while the run goes on, so that little is left to send at its end


@dataclass(frozen=True)
class Outcome:
    """What a run has found so far."""

    run_dir: Path
    manifest: RunManifest
    summary: RunSummary
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        peak = self.manifest.peak_gflops
        latency = self.summary.latency_s()
        return {
            "run_dir": str(self.run_dir),
            "layers": [task.to_dict(peak) for task in self.summary.tasks.values()],
            "default_latency_ms": latency[0] * 1e3 if latency else None,
            "best_latency_ms": latency[1] * 1e3 if latency else None,
            "peak_gflops": peak,
            "notes": self.notes,
        }


def read(run_dir: Path) -> Outcome:
    """The outcome of a run as its journal tells it.

    Raises:
        InputError: the folder is not a run.
    """
    manifest = RunManifest.load(run_dir)
    summary = _empty_summary(manifest)
    notes = []
    if (run_dir / JOURNAL_NAME).is_file():
        found = scan(run_dir / JOURNAL_NAME)
        summary.add(first(found.records))
        if found.quarantined:
            lines = ", ".join(str(damaged.line) for damaged in found.quarantined[:5])
            notes.append(f"{run_dir / JOURNAL_NAME}: {len(found.quarantined)} damaged lines left out (line {lines})")
    return Outcome(run_dir, manifest, summary, notes)


def run(settings: TuneSettings, observer: Observer) -> Outcome:
    """Tunes what the settings ask for and returns what was found; the same settings again resume.

    Args:
        observer: is told how it goes on.

    Raises:
        InputError: the settings, the run's folder or an address in them are wrong; nothing was changed.
        RaydgpError: the run could not go on; what was measured is kept.
        Stopped: Ctrl-C or SIGTERM; what was measured is kept.
    """
    settings, tasks = plan(settings)
    run_dir = settings.run_dir
    so_far = records_so_far(settings, tasks)
    if settings.mlflow.enabled:
        tracking.check(settings.mlflow.uri)
    sink = tracking.TrackerProcess(run_dir) if settings.mlflow.enabled else None
    if not finished(settings, tasks, so_far):
        _measure(settings, tasks, so_far, sink, observer)
    elif sink:
        sink.start()
    outcome = read(run_dir)
    if sink and not sink.finish(_SYNC_TIMEOUT_S):
        outcome.notes.append(f"MLflow has not got all of it: raydgp sync {run_dir}")
    elif sink:
        outcome.notes.append(f"MLflow: mlflow ui --backend-store-uri {settings.mlflow.uri}")
    return outcome


def _measure(
    settings: TuneSettings,
    tasks: Sequence[Task],
    so_far: list[Record],
    sink: tracking.TrackerProcess | None,
    observer: Observer,
) -> None:
    """What is left to measure, on the cluster."""
    from raydgp.cluster import Cluster  # Ray takes seconds to import: not for a misspelt name

    run_dir = settings.run_dir
    budget = f"{settings.minutes:g} minutes" if settings.minutes else f"{settings.trials} configurations each"
    observer.message(f"{settings.run_name}: {len(tasks)} layers, {budget}; starting Ray ...")
    for start in dict.fromkeys(strategy_of(settings, task).start for task in tasks):
        if start:
            observer.message(f"{settings.strategy} of {start}")
    with _stoppable(run_dir), Cluster(settings, run_dir / JOURNAL_NAME) as cluster:
        manifest = manifest_of(settings, tasks, cluster)
        manifest.save(run_dir)
        if sink:
            sink.start()
        with _watched(manifest, settings, observer):
            if settings.by_gain:
                manifest = tune_by_gain(cluster, settings, tasks, manifest, so_far, observer)
            else:
                cluster.tune(tasks, so_far)
    manifest.model_copy(update={"finished_unix_s": time.time()}).save(run_dir)


def _empty_summary(manifest: RunManifest) -> RunSummary:
    return RunSummary([TaskSummary(t.name, from_dict(t.workload), t.count, t.untuned_s) for t in manifest.tasks])


@contextmanager
def _watched(manifest: RunManifest, settings: TuneSettings, observer: Observer) -> Iterator[None]:
    """Follows the journal while the run goes on and tells what it says."""
    summary = _empty_summary(manifest)
    follower = Follower(settings.run_dir / JOURNAL_NAME)
    over = threading.Event()
    most = settings.most_trials
    total = None if most is None else most * len(manifest.tasks)
    allowed_s = None if settings.minutes is None else 60 * settings.minutes - manifest.spent_s

    def look() -> None:
        summary.add(entry for entry in follower.poll() if isinstance(entry, Record))

    def watch() -> None:
        while not over.wait(_POLL_S):
            look()
            observer.updated()

    look()  # what earlier starts have measured is no progress of this one
    watcher = threading.Thread(target=watch, name="watch-journal", daemon=True)
    observer.started(RunProgress(summary, total, allowed_s, manifest.peak_gflops))
    try:
        watcher.start()
        yield
    finally:
        over.set()
        watcher.join()
        look()
        observer.finished()


@contextmanager
def _stoppable(run_dir: Path) -> Iterator[None]:
    """Ctrl-C, or the SIGTERM of a job that is stopped, becomes one line that says how to go on."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        journal = run_dir / JOURNAL_NAME
        kept = len(scan(journal).records) if journal.exists() else 0
        raise Stopped(
            f"stopped; {kept} measurements are kept in {run_dir}: the same command goes on from there"
        ) from None
    finally:
        signal.signal(signal.SIGTERM, before)
