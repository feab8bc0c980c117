"""Strategies compared on recorded spaces: the same tasks, seeds and batches for all, medians with their uncertainty."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import cloudpickle
import numpy as np
import pandas as pd

from raydgp import search
from raydgp.app.compare.leave_one_out import make_without
from raydgp.app.compare.trajectory import follow
from raydgp.errors import InputError
from raydgp.records.recorded import RecordedSpace, recorded_files
from raydgp.registry import adopt, registered
from raydgp.settings import CompareSettings
from raydgp.surrogates.elsewhere import same_kernel

_In = TypeVar("_In")
_Out = TypeVar("_Out")

SHARES = (0.95, 0.99, 1.0)
_RESAMPLES = 2000


def check(paths: Sequence[Path], settings: CompareSettings) -> list[Path]:
    """Whether a comparison can begin.

    Returns:
        The Parquet files that the paths mean.

    Raises:
        InputError: a file is not a recorded space, or a strategy or option is unknown.
    """
    files = recorded_files(paths)
    if not files:
        raise InputError(f"{', '.join(map(str, paths))}: no Parquet files there; give folders of recorded spaces")
    if missing := [path for path in files if not path.is_file()]:
        raise InputError(f"{missing[0]}: no such file; give recorded spaces, folders of them, or a name such as znver4")
    spaces = [RecordedSpace.load(path).space for path in files]
    for name, options in settings.strategies.items():
        search.create(options.get("strategy", name), spaces[0], **_without_name(options))
    return files


def compare(
    paths: Sequence[Path], settings: CompareSettings, progress: Callable[[str, int, int], None]
) -> pd.DataFrame:
    """Runs every strategy on every recorded space with every seed, once `check` has passed.

    A strategy that starts from a pre-trained model gets one that never saw the task, made of the other spaces; the
    seconds do not count its making. One that learns from other devices gets what those recorded of the same kernel.

    Args:
        progress: called with what is going on, how much of it is done, and of how much.

    Returns:
        A row a search: task, strategy, seed, and for each of `SHARES` measurements_<share> and seconds_<share>.
    """
    models: dict[Path, Path | None] = dict.fromkeys(paths)
    if any(search.starts_from_model(options.get("strategy", name)) for name, options in settings.strategies.items()):
        teach = partial(make_without, paths=paths, root=settings.models_dir, epochs=settings.epochs)
        for done, (path, folder) in enumerate(zip(paths, _map(teach, paths, settings.workers), strict=True), 1):
            models[path] = folder
            progress("models", done, len(paths))
    others = _other_devices(paths)
    jobs = [
        _Job(path, name, options, seed, settings.trials, settings.batch, models[path], others[path])
        for seed in range(settings.seeds)
        for path in paths
        for name, options in settings.strategies.items()
    ]
    rows = []
    for row in _map(_search, jobs, settings.workers):
        rows.append(row)
        progress("searches", len(rows), len(jobs))
    return pd.DataFrame(rows)


def summary(runs: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """A row a strategy: medians over tasks and seeds with 95 % intervals, and the ratio to the baseline task by task.

    A search that did not get there counts as infinite, so a median is infinite when half of them did not. Intervals
    are percentiles of a bootstrap over tasks, since seeds of one task are not independent evidence.
    """
    rows = []
    base = _by_task(runs[runs["strategy"] == baseline], "measurements_99")
    for name, group in runs.groupby("strategy", sort=False):
        row: dict[str, Any] = {"strategy": name}
        for what in ("measurements", "seconds"):
            for share in SHARES:
                column = f"{what}_{100 * share:.0f}"
                row[column] = group[column].median()
                row[f"{column}_low"], row[f"{column}_high"] = _interval(group, column)
        own = _by_task(group, "measurements_99")
        with np.errstate(invalid="ignore"):
            ratio = (own / base).fillna(1.0).to_numpy()  # neither got there: no difference
        row["ratio_99"], row["worst_ratio_99"] = float(np.median(ratio)), float(ratio.max())
        rows.append(row)
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class _Job:
    path: Path
    name: str
    options: Mapping[str, Any]
    seed: int
    trials: int
    batch: int
    models: Path | None
    others: Sequence[Path]


def _other_devices(paths: Sequence[Path]) -> dict[Path, list[Path]]:
    """For each recorded space those of the same kernel from other devices."""
    spaces = {path: RecordedSpace.load(path) for path in paths}
    return {
        path: [
            other
            for other, there in spaces.items()
            if same_kernel(here.space, there.space) and here.device.get("name") != there.device.get("name")
        ]
        for path, here in spaces.items()
    }


def _without_name(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key != "strategy"}


def _map(function: Callable[[_In], _Out], inputs: Sequence[_In], workers: int) -> Iterator[_Out]:
    if workers == 1:
        yield from map(function, inputs)
        return
    context = multiprocessing.get_context("spawn")  # strategies may hold threads, which a fork would break
    parts = cloudpickle.dumps(registered())  # a notebook's classes have no module that a child could import
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_adopt, initargs=(parts,)) as pool:
        yield from pool.map(function, inputs)


def _adopt(parts: bytes) -> None:
    adopt(cloudpickle.loads(parts))


def _search(job: _Job) -> dict[str, Any]:
    recorded = RecordedSpace.load(job.path)
    strategy, options = job.options.get("strategy", job.name), _without_name(job.options)
    if job.models:
        options = search.with_models(strategy, options, job.models)
    options = search.with_elsewhere(strategy, options, job.others)
    went = follow(recorded, strategy, options, job.seed, job.trials, job.batch)
    row: dict[str, Any] = {"task": recorded.name, "strategy": job.name, "seed": job.seed}
    for share in SHARES:
        row[f"measurements_{100 * share:.0f}"] = went.measurements_to(share)
        row[f"seconds_{100 * share:.0f}"] = went.seconds_to(share)
    return row


def _by_task(group: pd.DataFrame, column: str) -> pd.Series:
    return group.groupby("task")[column].median()


def _interval(group: pd.DataFrame, column: str) -> tuple[float, float]:
    """95 % of the medians over resampled tasks.

    `scipy.stats.bootstrap` refuses a single task, and interpolates between infinite medians to what is no number.
    """
    rng = np.random.default_rng(0)
    by_task = np.stack([values.to_numpy() for _, values in group.groupby("task")[column]])
    picks = rng.integers(len(by_task), size=(_RESAMPLES, len(by_task)))
    medians = np.sort(np.median(by_task[picks].reshape(_RESAMPLES, -1), axis=1))
    return float(medians[int(0.025 * _RESAMPLES)]), float(medians[int(0.975 * _RESAMPLES)])
