"""Strategies compared on hardware: every model with every strategy and seed, then all winners again in turns."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from raydgp.app.compare.outcomes import Searched, finalists, rows, winners
from raydgp.app.compare.search_observer import SearchObserver
from raydgp.app.deploy.deploy import deploy_run
from raydgp.app.observer import Observer
from raydgp.app.tune.planning import plan
from raydgp.app.tune.runs import tune
from raydgp.errors import InputError, RaydgpError, Stopped
from raydgp.models.folder import MANIFEST
from raydgp.records import RunFolder
from raydgp.records.journal import read
from raydgp.records.manifest import write_atomically
from raydgp.records.run import JOURNAL_NAME
from raydgp.rivals.latency import measure
from raydgp.settings import CompareSettings, TuneSettings
from raydgp.workloads import Task

if TYPE_CHECKING:
    from raydgp.cluster import Cluster

_DEPLOYED, _LATENCIES = "deployed", "latencies.json"
_FEW_CALLS = 20  # to see that a deployed model runs; the timing that counts is in turns with the others
_SAME = ("model", "target", "tasks", "strategy", "options", "seed", "batch", "trials", "minutes")


def runs_of(settings: CompareSettings) -> list[TuneSettings]:
    """The runs of a live comparison, the first seed of all strategies and models before the second.

    Each has a folder of runs of its own, so that no search starts from what another one has found.

    Raises:
        InputError: an unknown model, task or strategy, or an option of it.
    """
    live, out = settings.live, []
    if unknown := set(live.tasks) - set(live.models):
        raise InputError(f"live.tasks: {min(unknown)!r} is not among live.models; name it there, too")
    names = [TuneSettings(model=model).model_name for model in live.models]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"live.models: two of them are called {twice[0]!r}; compare them in studies of their own")
    for seed in range(settings.seeds):
        for model in live.models:
            for name, options in settings.strategies.items():
                rest = {key: value for key, value in options.items() if key != "strategy"}
                made = TuneSettings(
                    model=model,
                    tasks=live.tasks.get(model),
                    target=live.target,
                    strategy=options.get("strategy", name),
                    options=rest,
                    trials=settings.trials,
                    minutes=live.minutes,
                    batch=settings.batch,
                    seed=seed,
                    models_dir=live.models_dir,
                    measure=live.measure,
                    ray=live.ray,
                    mlflow=live.mlflow,
                )
                named = f"{made.model_name}-{name.replace(' ', '-')}-seed{seed}"
                out.append(made.model_copy(update={"run": named, "runs_dir": live.folder / named}))
    return out


def run_study(settings: CompareSettings, observer: Observer) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs what is left of a live comparison, once `runs_of` has passed.

    Args:
        observer: is told of every search under way.

    Returns:
        A row a search and layer, see `outcomes.rows`; and of each whole model that was tuned a row with its latency as
        deployed: model, strategy, seed, latency_ms (mean of a call), variance_ms2.

    Raises:
        InputError: the settings or a folder are wrong.
        RaydgpError: it could not go on; what was measured is kept.
        Stopped: Ctrl-C; what was measured is kept.
    """
    jobs = runs_of(settings)
    searches = [Searched(job.model, _name(job), job.seed, RunFolder(job.run_dir)) for job in jobs]
    left = [job for job in jobs if not _done(job)]
    if left or any(_turns_left(settings, searches)):
        _on_hardware(settings, jobs, left, searches, observer)
    again = [finalists(model, read(_finals(settings, model))) for model in settings.live.models]
    found = rows(searches, {key: seconds for each in again for key, seconds in each.items()})
    whole = [search for search, job in zip(searches, jobs, strict=True) if job.is_imported]
    return found, model_latencies(settings, whole, observer)


def _on_hardware(
    settings: CompareSettings,
    jobs: Sequence[TuneSettings],
    left: Sequence[TuneSettings],
    searches: Sequence[Searched],
    observer: Observer,
) -> None:
    """The searches that are left, and the turns of the finalists."""
    # Ray takes seconds to import: not for a misspelt name
    from raydgp.cluster import Cluster

    live, first = settings.live, with_weights(jobs, observer)
    observer.message(f"{len(jobs)} searches, {len(left)} left; starting Ray ...")
    with Cluster(first, _finals(settings, first.model)) as cluster:
        observer.message(f"Runner on {cluster.device['name']}; measuring what its hardware reaches ...")
        cluster.baselines([])
        try:
            _search(left, live.at_a_time, cluster, observer)
            observer.message("The best of all searches, again in turns ...")
            for turn, model, task, indices in _turns_left(settings, searches):
                job = next(job for job in jobs if job.model == model)
                with cluster.beside(job, _finals(settings, model)) as own:
                    own.measure_again(task, indices, turn)
        except KeyboardInterrupt:
            raise Stopped(
                f"stopped; what was measured is kept in {live.folder}: the same command goes on from there"
            ) from None


def with_weights(jobs: Sequence[TuneSettings], observer: Observer) -> TuneSettings:
    """The settings of the runners: layers of whole models are timed with the weights of the largest between calls."""
    models = {job.model: job for job in jobs if job.is_imported and job.measure.model_mb is None}
    planned = (plan(job, None, observer.message, observer.message)[0] for job in models.values())
    largest_mb = max((job.measure.model_mb or 0.0 for job in planned), default=0.0)
    if not largest_mb:
        return jobs[0]
    measure = jobs[0].measure.model_copy(update={"model_mb": largest_mb})
    return jobs[0].model_copy(update={"measure": measure})


def _search(left: Sequence[TuneSettings], at_a_time: int, cluster: Cluster, observer: Observer) -> None:
    """Some at a time, each of which has its layers searched by Ray tasks on the runners that all share."""
    with ThreadPoolExecutor(at_a_time, thread_name_prefix="search") as pool:
        futures = [pool.submit(tune, job, SearchObserver(job.run_name, observer), cluster=cluster) for job in left]
        try:
            for number, future in enumerate(as_completed(futures), 1):
                future.result()
                observer.step("searches", number, len(futures))
        except BaseException:
            for future in futures:
                future.cancel()
            cluster.close()  # so that what the other threads wait for fails
            raise


def _turns_left(settings: CompareSettings, searches: Sequence[Searched]) -> Iterator[tuple[int, str, Task, list[int]]]:
    """Turn, model, task and configurations that are to be measured, in this order."""
    won = winners(searches)
    records = [(model, record) for model in won for record in read(_finals(settings, model))]
    counts = Counter((model, record.context.task, record.measurement.index) for model, record in records)
    for turn in range(settings.live.turns):
        for model, tasks in won.items():
            for task, indices in tasks.items():
                due = [index for index in indices if counts[model, task.name, index] <= turn]
                if due:
                    yield turn, model, task, due


def model_latencies(settings: CompareSettings, searches: Sequence[Searched], observer: Observer) -> pd.DataFrame:
    """The deployed models, timed in turns: what has gone on since it was deployed anew, and then all of them again.

    Returns:
        A row a search, as `run_study` gives it.

    Raises:
        RaydgpError: a deployed model does not run.
    """
    live, ways, newest_s = settings.live, {}, 0.0
    for search in searches:
        folder = live.folder / _DEPLOYED / search.run.name
        if _written_s(folder / MANIFEST) < (search.run.manifest.finished_unix_s or 0.0):  # it has gone on since
            deploy_run(search.run.path, folder, (), _FEW_CALLS, observer)
        ways[search.run.name] = ("raydgp", f"{folder}#0", live.target)
        newest_s = max(newest_s, _written_s(folder / MANIFEST))
    kept = live.folder / _LATENCIES
    known = json.loads(kept.read_text()) if _written_s(kept) > newest_s else {}
    if ways and (set(known) != set(ways) or any(known[name]["of"] != live.calls for name in ways)):
        done: Counter[str] = Counter()

        def called(name: str, calls: int) -> None:
            done[name] += calls
            observer.step(f"timing {name}", min(done[name], live.calls), live.calls)

        threads = searches[0].run.manifest.device.get("threads", 1)
        found = measure(ways, live.calls, threads, called)
        if faults := [f"{name}: {fault}" for name, fault in found.items() if isinstance(fault, str)]:
            raise RaydgpError(faults[0])
        known = {
            name: {"of": live.calls, **each.to_dict()} for name, each in found.items() if not isinstance(each, str)
        }
        write_atomically(kept, json.dumps(known, indent=1))
    figures = [known[search.run.name] for search in searches]
    return pd.DataFrame(
        [
            (search.model, search.strategy, search.seed, found["mean_ms"], found["variance_ms2"])
            for search, found in zip(searches, figures, strict=True)
        ],
        columns=["model", "strategy", "seed", "latency_ms", "variance_ms2"],
    )


def _done(job: TuneSettings) -> bool:
    """Whether a run has ended that was to do the same."""
    run = RunFolder(job.run_dir)
    if not run.exists or run.manifest.finished_unix_s is None:
        return False
    before, now = run.manifest.settings, job.model_dump(mode="json")
    return all(before.get(key) == now[key] for key in _SAME)


def _written_s(file: Path) -> float:
    """When a file was written; 0 where there is none."""
    return file.stat().st_mtime if file.is_file() else 0.0


def _finals(settings: CompareSettings, model: str) -> Path:
    """The journal of a model's finalists."""
    name = TuneSettings(model=model).model_name
    return settings.live.folder / "finals" / name / JOURNAL_NAME


def _name(job: TuneSettings) -> str:
    """The strategy's name in the table."""
    assert job.run
    return job.run.removeprefix(f"{job.model_name}-").removesuffix(f"-seed{job.seed}")
