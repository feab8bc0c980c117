"""What many searches say of the strategies: medians with their uncertainty, and whether differences are chance."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import wilcoxon

SHARES = (0.95, 0.99, 1.0)
_RANKS = (1, 2, 4, 8, 16, 24, 32, 48, 64)
_RESAMPLES = 2000
_FEWEST = 6  # tasks with a difference, below which no p-value of the test can be under 0.05 to either side


def summary(runs: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """A row a strategy: medians over tasks and seeds with 95 % intervals, and the ratio to the baseline task by task.

    A search that did not get there counts as infinite, so a median is infinite when half of them did not. Intervals
    are percentiles of a bootstrap over tasks, since seeds of one task are not independent evidence.

    Args:
        runs: a row a search, of `compare`, all with as many runners.

    Returns:
        For each of `SHARES` measurements_<share> and seconds_<share> with _low and _high; ratio_99, worst_ratio_99 and
        wilcoxon_p, the chance of such ratios if both were alike (Wilcoxon's signed ranks of the tasks' medians, two
        sided; NaN with fewer than 6 tasks that differ); never_99, the share of searches that did not get there; score
        with its interval, see `raydgp.app.compare.score`; sampled and seconds, means of a search.
    """
    rows = []
    base = runs[runs["strategy"] == baseline]
    for name, group in runs.groupby("strategy", sort=False):
        row: dict[str, Any] = {"strategy": name}
        for what in ("measurements", "seconds"):
            for share in SHARES:
                column = f"{what}_{100 * share:.0f}"
                row[column] = group[column].median()
                row[f"{column}_low"], row[f"{column}_high"] = interval(group, column, np.median)
        ratio = _ratios(group, base, "measurements_99")
        row["ratio_99"], row["worst_ratio_99"] = float(np.median(ratio)), float(ratio.max())
        row["wilcoxon_p"] = paired_p(ratio)
        row["never_99"] = float(np.isinf(group["measurements_99"]).mean())
        row["score"] = group["score"].mean()
        row["score_low"], row["score_high"] = interval(group, "score", np.nanmean)
        row["sampled"], row["seconds"] = group["sampled"].mean(), group["seconds"].mean()
        rows.append(row)
    return pd.DataFrame(rows)


def by_runners(runs: pd.DataFrame) -> pd.DataFrame:
    """What asking in parallel costs and gains: each number of runners against the fewest, task by task.

    Returns:
        A row a strategy and number of runners: measurements_99 with its interval and seconds_99, medians; ratio_99,
        worst_ratio_99 and wilcoxon_p of the measurements, as `summary` over its own searches with the fewest runners;
        faster, how many times as soon it got there, the median over tasks; never_99.
    """
    rows = []
    fewest = runs["runners"].min()
    for name, group in runs.groupby("strategy", sort=False):
        alone = group[group["runners"] == fewest]
        for runners, some in group.groupby("runners"):
            ratio = _ratios(some, alone, "measurements_99")
            low, high = interval(some, "measurements_99", np.median)
            rows.append(
                {
                    "strategy": name,
                    "runners": runners,
                    "measurements_99": some["measurements_99"].median(),
                    "measurements_99_low": low,
                    "measurements_99_high": high,
                    "ratio_99": float(np.median(ratio)),
                    "worst_ratio_99": float(ratio.max()),
                    "wilcoxon_p": paired_p(ratio),
                    "seconds_99": some["seconds_99"].median(),
                    "faster": float(np.median(_ratios(alone, some, "seconds_99"))),
                    "never_99": float(np.isinf(some["measurements_99"]).mean()),
                }
            )
    return pd.DataFrame(rows)


def starts(shares: NDArray[np.float64]) -> dict[str, float]:
    """The first 64 measurements of a search in descending order: start_<rank>, for some of the ranks.

    Args:
        shares: float64[t], GFLOPS of each measurement as a share of the best of its space; fewer than 64 are all.
    """
    first = np.sort(shares[: _RANKS[-1]])[::-1]
    return {f"start_{rank}": float(first[rank - 1]) for rank in _RANKS if rank <= len(first)}


def paired_p(ratios: NDArray[np.float64]) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test that the logarithms of float64[tasks] are symmetric about 0.

    NaN where fewer than 6 are not 1: then no outcome could be told from chance.
    """
    with np.errstate(divide="ignore"):
        logs = np.log(ratios)
    if np.isnan(logs).any() or (logs != 0).sum() < _FEWEST:
        return math.nan
    with warnings.catch_warnings():  # of several infinite ones, which tie in rank as they should
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(wilcoxon(logs).pvalue)


def interval(group: pd.DataFrame, column: str, statistic: Any) -> tuple[float, float]:
    """95 % of a statistic (of an array, along an axis) over resampled tasks.

    `scipy.stats.bootstrap` refuses a single task, and interpolates between infinite medians to what is no number.
    """
    rng = np.random.default_rng(0)
    by_task = np.stack([values.to_numpy(float) for _, values in group.groupby("task")[column]])
    picks = rng.integers(len(by_task), size=(_RESAMPLES, len(by_task)))
    with warnings.catch_warnings():  # of scores of nothing
        warnings.simplefilter("ignore", RuntimeWarning)
        found = np.sort(statistic(by_task[picks].reshape(_RESAMPLES, -1), axis=1))
    return float(found[int(0.025 * _RESAMPLES)]), float(found[int(0.975 * _RESAMPLES)])


def _ratios(some: pd.DataFrame, others: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """Medians over those of others, task by task: float64[tasks]; 1 where neither got there, NaN if on no task."""
    own, base = (group.groupby("task")[column].median() for group in (some, others))
    with np.errstate(invalid="ignore"):
        ratios = own / base
    return np.asarray(ratios if ratios.isna().all() else ratios.fillna(1.0), np.float64)
