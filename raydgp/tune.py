"""One run of the tuner: plan, measure on the cluster, watch the journal, sum up. The journal is the only truth."""

from __future__ import annotations

import math
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from raydgp import search, tracking
from raydgp.display import LiveTable
from raydgp.errors import InputError, Stopped, nearest
from raydgp.records import Record
from raydgp.records.history import first, known
from raydgp.records.journal import Follower, scan
from raydgp.records.manifest import JOURNAL_NAME, RunManifest, TaskEntry
from raydgp.settings import TuneSettings
from raydgp.space import config_space
from raydgp.study.summary import RunSummary, TaskSummary
from raydgp.workloads import from_dict, zoo

if TYPE_CHECKING:
    from raydgp.cluster import Cluster

_POLL_S = 0.5
_SYNC_TIMEOUT_S = 30.0  # MLflow follows while the run goes on, so that little is left to send at its end
_FIXED = ("model", "target", "strategy", "options", "seed", "batch")  # another value would be another search


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


def plan(settings: TuneSettings) -> list[zoo.Task]:
    """The layer tasks that the settings ask for, with everything checked that needs no machine.

    Raises:
        InputError: unknown model, task, strategy or option of it.
    """
    tasks = zoo.tasks(settings.model)
    if settings.tasks is not None:
        by_name = {task.name: task for task in tasks}
        for name in settings.tasks:
            if name not in by_name:
                raise InputError(f"{settings.model} has no task {name!r}{nearest(name, by_name)}")
        tasks = [by_name[name] for name in dict.fromkeys(settings.tasks)]
    if not tasks:
        raise InputError("tasks: name at least one, or leave the key out to tune all of them")
    _strategy(settings, tasks[0])
    return tasks


def _strategy(settings: TuneSettings, task: zoo.Task) -> search.Strategy:
    options = search.with_models(settings.strategy, settings.options, settings.models_dir)
    return search.create(settings.strategy, config_space(task.workload, settings.target), settings.seed, **options)


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


def run(settings: TuneSettings, console: Console) -> Outcome:
    """Tunes what the settings ask for and returns what was found; the same settings again resume.

    Args:
        console: where progress is shown.

    Raises:
        InputError: the settings, the run's folder or an address in them are wrong; nothing was changed.
        RaydgpError: the run could not go on; what was measured is kept.
        Stopped: Ctrl-C or SIGTERM; what was measured is kept.
    """
    tasks = plan(settings)
    run_dir = settings.run_dir
    so_far = _records_so_far(settings, tasks)
    if settings.mlflow.enabled:
        tracking.check(settings.mlflow.uri)
    sink = tracking.Sink(run_dir) if settings.mlflow.enabled else None
    if not _finished(settings, tasks, so_far):
        _measure(settings, tasks, so_far, sink, console)
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
    tasks: Sequence[zoo.Task],
    so_far: list[Record],
    sink: tracking.Sink | None,
    console: Console,
) -> None:
    """What is left to measure, on the cluster."""
    from raydgp.cluster import Cluster  # Ray takes seconds to import: not for a misspelt name

    run_dir = settings.run_dir
    console.print(f"{settings.run_name}: {len(tasks)} layers, {settings.trials} configurations each; starting Ray ...")
    for start in dict.fromkeys(_strategy(settings, task).start for task in tasks):
        if start:
            console.print(f"{settings.strategy} of {start}", soft_wrap=True)
    with _stoppable(run_dir), Cluster(settings, run_dir / JOURNAL_NAME) as cluster:
        manifest = _manifest(settings, tasks, cluster)
        manifest.save(run_dir)
        if sink:
            sink.start()
        with _watched(manifest, settings, console):
            cluster.tune(tasks, so_far)
    manifest.model_copy(update={"finished_unix_s": time.time()}).save(run_dir)


def _finished(settings: TuneSettings, tasks: Sequence[zoo.Task], so_far: list[Record]) -> bool:
    """Whether the budget of every task is spent."""
    spaces = [config_space(task.workload, settings.target) for task in tasks]
    return all(len(known(so_far, space.hash)) >= min(settings.trials, space.size) for space in spaces)


def _empty_summary(manifest: RunManifest) -> RunSummary:
    return RunSummary([TaskSummary(t.name, from_dict(t.workload), t.count, t.untuned_s) for t in manifest.tasks])


def _records_so_far(settings: TuneSettings, tasks: Sequence[zoo.Task]) -> list[Record]:
    """What the run's folder holds already, once it is sure that it is this run's.

    Raises:
        InputError: the folder belongs to a run with other settings, or its journal to other spaces.
    """
    run_dir = settings.run_dir
    if not run_dir.exists():
        return []
    before, now = RunManifest.load(run_dir).settings, settings.model_dump(mode="json")
    for key in _FIXED:
        if before[key] != now[key]:
            raise InputError(
                f"{run_dir} was made with {key}={before[key]!r}, not {now[key]!r}; name this run anew with --run"
            )
    records = first(scan(run_dir / JOURNAL_NAME).records) if (run_dir / JOURNAL_NAME).exists() else []
    hashes = {task.name: config_space(task.workload, settings.target).hash for task in tasks}
    for record in records:
        if hashes.get(record.context.task, record.context.space_hash) != record.context.space_hash:
            raise InputError(
                f"{run_dir / JOURNAL_NAME} holds {record.context.task} in another space "
                f"({record.context.space_hash}, not {hashes[record.context.task]}); name this run anew with --run"
            )
    return records


def _manifest(settings: TuneSettings, tasks: Sequence[zoo.Task], cluster: Cluster) -> RunManifest:
    """The manifest of this run, with what an earlier start of it on this device has found out kept."""
    before = RunManifest.load(settings.run_dir) if settings.run_dir.exists() else None
    kept = before if before and before.device == cluster.device else None
    earlier = {entry.name: entry for entry in before.tasks} if before else {}
    untuned_s = {e.name: e.untuned_s for e in kept.tasks if e.untuned_s is not None} if kept else {}
    unknown = [task.workload for task in tasks if task.name not in untuned_s]
    baselines = cluster.baselines(unknown) if unknown or kept is None else None
    peak_gflops = baselines.peak_gflops if baselines else kept.peak_gflops if kept else None
    entries = []
    for task in tasks:
        space = config_space(task.workload, cluster.target)
        seconds = untuned_s.get(task.name) or (baselines.untuned_s.get(task.workload) if baselines else None)
        entries.append(
            TaskEntry(
                name=task.name,
                workload=task.workload.to_dict(),
                count=task.count,
                group=task.workload.group,
                space_hash=space.hash,
                space_size=space.size,
                default_index=space.default,
                untuned_s=seconds if seconds and math.isfinite(seconds) else None,
            )
        )
        earlier.pop(task.name, None)
    return RunManifest(
        settings=settings.model_dump(mode="json"),
        tasks=[*entries, *earlier.values()],  # a task that is left out this time stays a task of the run
        target=cluster.target,
        device=cluster.device,
        versions=cluster.versions,
        git_commit=_git_commit(),
        created_unix_s=before.created_unix_s if before else time.time(),
        peak_gflops=peak_gflops,
    )


def _git_commit() -> str | None:
    """Commit of the working directory, which is the user's project; None outside of a repository."""
    try:
        answer = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10)
    except OSError:
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None


@contextmanager
def _watched(manifest: RunManifest, settings: TuneSettings, console: Console) -> Iterator[None]:
    """Follows the journal while the run goes on and shows what it says."""
    summary = _empty_summary(manifest)
    follower = Follower(settings.run_dir / JOURNAL_NAME)
    over = threading.Event()
    with LiveTable(console, summary, settings.trials, manifest.peak_gflops) as table:

        def watch() -> None:
            while not over.wait(_POLL_S):
                summary.add(entry for entry in follower.poll() if isinstance(entry, Record))
                table.update()

        watcher = threading.Thread(target=watch, name="watch-journal", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()


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
