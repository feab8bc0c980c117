"""From settings to a run. The journal is the only truth: resume, report and table read it by the same code."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from raydgp import tracking
from raydgp.app.logs import logged_to
from raydgp.app.observer import Observer, RunProgress
from raydgp.app.run import Run
from raydgp.app.tune.clock import Clock, Laps
from raydgp.app.tune.packaged import with_models
from raydgp.app.tune.planning import plan, strategy_of
from raydgp.app.tune.resuming import as_it_was, finished, manifest_of, records_so_far
from raydgp.app.tune.rounds import tune_by_gain
from raydgp.app.tune.tracked import sent, shown, tracker_of
from raydgp.errors import Stopped
from raydgp.records import Record, RunFolder
from raydgp.records.summary import RunSummary
from raydgp.settings import TuneSettings
from raydgp.workloads import Task

if TYPE_CHECKING:
    from raydgp.cluster import Cluster

_LOGGER = logging.getLogger(__name__)
_POLL_S = 0.5


def tune(
    settings: TuneSettings,
    observer: Observer,
    layers: Sequence[Task] | None = None,
    function: Callable[[dict[str, Any]], Any] | None = None,
    cluster: Cluster | None = None,
) -> Run:
    """Tunes what the settings ask for and returns the run; the same settings again resume.

    Args:
        observer: is told how it goes on.
        layers: to tune instead of the layers of the settings' model, which then is but their name.
        function: measures their configurations, in place of kernels that are built.
        cluster: whose runners to use, instead of starting some; see `Cluster.beside`.

    Raises:
        InputError: the settings, the run's folder or an address in them are wrong; nothing was changed.
        RaydgpError: the run could not go on; what was measured is kept.
        Stopped: Ctrl-C or SIGTERM; what was measured is kept.
    """
    began_s, laps = time.monotonic(), Laps()
    notes: list[str] = []
    run = RunFolder(settings.run_dir)
    run.check_free()  # before a model is imported for nothing
    if layers is None and as_it_was(settings):
        return Run(RunFolder(run.path), shown(settings, run, observer))
    settings, tasks = plan(settings, layers, notes.append, observer.message)
    for note in notes:
        observer.message(note)
    if finished(settings, tasks, records_so_far(settings, tasks)):
        return Run(RunFolder(run.path), shown(settings, run, observer))
    tracker = tracker_of(settings, observer)
    settings = with_models(settings, observer.message)
    laps.lap("importing the model" if settings.is_imported else "planning")
    with run.claimed():
        so_far = records_so_far(settings, tasks)  # once more: until now, another process may have measured
        _measure(settings, tasks, notes, so_far, tracker, observer, began_s, laps, function, cluster)
    said = [sent(tracker, run, observer)] if tracker else []
    laps.lap("sending to MLflow")
    return Run(RunFolder(run.path), [*said, str(laps)])


def _measure(
    settings: TuneSettings,
    tasks: Sequence[Task],
    notes: Sequence[str],
    so_far: list[Record],
    tracker: tracking.TrackerProcess | None,
    observer: Observer,
    began_s: float,
    laps: Laps,
    function: Callable[[dict[str, Any]], Any] | None,
    shared: Cluster | None,
) -> None:
    """What is left to measure, on the cluster."""
    # Ray takes seconds to import: not for a misspelt name
    from raydgp.cluster import Cluster, function_backend
    from raydgp.cluster.node_usage import usage_logged

    using = [function_backend(function, settings.ray.resources)] if function else []
    run = RunFolder(settings.run_dir)
    budget = f"{settings.minutes:g} minutes" if settings.minutes else f"{settings.trials} configurations each"
    starting = "" if shared else "; starting Ray ..."
    observer.message(f"{settings.run_name}: {len(tasks)} tasks, {budget}{starting}")
    for start in dict.fromkeys(strategy_of(settings, task).start for task in tasks):
        if start:
            observer.message(f"{settings.strategy} of {start}")
    own = shared.beside(settings, run.journal) if shared else Cluster(settings, run.journal, *using)
    with _stoppable(run), own as cluster:
        laps.lap("starting Ray")
        baselines = "" if function else "; measuring what its hardware reaches without tuning ..."
        observer.message(f"Runner on {cluster.device['name']}{baselines}")
        run.save(manifest_of(settings, tasks, cluster, notes))
        laps.lap("measuring the machine")
        if tracker:
            tracker.start()
        clock = Clock(settings.minutes, run.manifest.spent_s, began_s)
        used = usage_logged(run.usage) if settings.mlflow.enabled and settings.mlflow.system_metrics else nullcontext()
        with logged_to(run.log), _watched(run, settings, observer, clock), used:
            _LOGGER.info("%s starts on %s, %d records known", run.name, cluster.device["name"], len(so_far))
            if settings.by_gain:
                tune_by_gain(cluster, settings, tasks, run, observer, clock)
            else:
                cluster.tune(tasks, so_far)
        laps.lap("searching")
    laps.lap("ending Ray")
    run.save(run.manifest.model_copy(update={"finished_unix_s": time.time()}))


@contextmanager
def _watched(run: RunFolder, settings: TuneSettings, observer: Observer, clock: Clock) -> Iterator[None]:
    """Follows the journal while the run goes on and tells what it says."""
    manifest, follower = run.manifest, run.follower()
    summary = RunSummary(manifest.tasks, machine=manifest.machine)
    over = threading.Event()
    most = settings.most_trials
    total = None if most is None else most * len(manifest.tasks)
    allowed_s = None if settings.minutes is None else clock.left_s

    def look() -> None:
        for entry in follower.poll():
            if isinstance(entry, Record):
                summary.add(entry)

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
def _stoppable(run: RunFolder) -> Iterator[None]:
    """Ctrl-C, or the SIGTERM of a job that is stopped, becomes one line that says how to go on."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    main = threading.current_thread() is threading.main_thread()  # signals are its alone
    before = signal.signal(signal.SIGTERM, stop) if main else None
    try:
        yield
    except KeyboardInterrupt:
        kept = len(run.scan().records)
        raise Stopped(
            f"stopped; {kept} measurements are kept in {run.path}: the same command goes on from there"
        ) from None
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)
