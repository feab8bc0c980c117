"""Strategies compared on recorded spaces: the same tasks, seeds and batches for all, medians with their uncertainty."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from raydgp.records.recorded import RecordedSpace
from raydgp.study.trajectory import follow

SHARES = (0.95, 0.99, 1.0)
_RESAMPLES = 2000


def compare(
    paths: Sequence[Path],
    strategies: Mapping[str, Mapping[str, Any]],
    seeds: int,
    trials: int,
    batch: int,
    workers: int,
    progress: Callable[[], None],
) -> pd.DataFrame:
    """Runs every strategy on every recorded space with every seed.

    Args:
        strategies: name in the table -> options of `search.create`, `strategy` among them.
        workers: processes that search at the same time; 1 when the seconds are to be trusted.
        progress: called after every search.

    Returns:
        A row a search: task, strategy, seed, and for each of `SHARES` measurements_<share> and seconds_<share>.

    Raises:
        InputError: a file is not a recorded space, or a strategy or option is unknown.
    """
    jobs = [
        _Job(path, name, options, seed, trials, batch)
        for seed in range(seeds)
        for path in paths
        for name, options in strategies.items()
    ]
    rows = []
    for row in _run(jobs, workers):
        rows.append(row)
        progress()
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
            ratio = (own / base).to_numpy()
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


def _run(jobs: Sequence[_Job], workers: int) -> Iterator[dict[str, Any]]:
    if workers == 1:
        yield from map(_search, jobs)
        return
    context = multiprocessing.get_context("spawn")  # strategies may hold threads, which a fork would break
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(_search, jobs)


def _search(job: _Job) -> dict[str, Any]:
    recorded = RecordedSpace.load(job.path)
    options = dict(job.options)
    strategy = options.pop("strategy", job.name)
    went = follow(recorded, strategy, options, job.seed, job.trials, job.batch)
    row: dict[str, Any] = {"task": recorded.name, "strategy": job.name, "seed": job.seed}
    for share in SHARES:
        row[f"measurements_{100 * share:.0f}"] = went.measurements_to(share)
        row[f"seconds_{100 * share:.0f}"] = went.seconds_to(share)
    return row


def _by_task(group: pd.DataFrame, column: str) -> pd.Series:
    return group.groupby("task")[column].median()


def _interval(group: pd.DataFrame, column: str) -> tuple[float, float]:
    """95 % of the medians over resampled tasks."""
    rng = np.random.default_rng(0)
    by_task = np.stack([values.to_numpy() for _, values in group.groupby("task")[column]])
    picks = rng.integers(len(by_task), size=(_RESAMPLES, len(by_task)))
    medians = np.sort(np.median(by_task[picks].reshape(_RESAMPLES, -1), axis=1))
    return float(medians[int(0.025 * _RESAMPLES)]), float(medians[int(0.975 * _RESAMPLES)])
