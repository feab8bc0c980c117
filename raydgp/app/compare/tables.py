"""The papers' tables of many searches: GFLOPS and configurations by task, search time and latency by network."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from raydgp.app.compare.published import published
from raydgp.app.compare.summary import by_runners, summary

OURS = "this comparison"
AVERAGE = "AVG"


def of(runs: pd.DataFrame, baseline: str, whole: pd.DataFrame | None = None) -> dict[str, pd.DataFrame]:
    """All tables by name; those that know one number of runners are of the fewest.

    Args:
        runs: a row a search, of `compare` or of `run_study`.
        whole: latencies of networks that were measured as a whole, of `run_study`.
    """
    fewest = runs[runs["runners"] == runs["runners"].min()]
    tables = {
        "summary": summary(fewest, baseline),
        "tasks": by_task(fewest, baseline),
        "models": by_model(fewest, baseline, whole),
    }
    return tables | ({"runners": by_runners(runs)} if runs["runners"].nunique() > 1 else {})


def hypervolume(times: ArrayLike, latencies: ArrayLike) -> NDArray[np.float64]:
    """In per cent, what a point of search time and latency, both as ratios to the baseline's, dominates of (1, 1).

    As in the deep-GP paper (ICCV 2021): 0 where either is no better than the baseline's.
    """
    gains = [np.clip(1 - np.asarray(each, np.float64), 0, None) for each in (times, latencies)]
    return np.asarray(100 * gains[0] * gains[1])


def by_task(runs: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """GFLOPS and configurations of each task, means over seeds, as figure 5 of the paper of BTED and BAO (DATE 2021).

    Returns:
        A row a task and strategy: gflops, gflops_ratio to the baseline's, sampled, seconds, never_99; at last the means
        over tasks under the task AVG, without GFLOPS, which differ too much between tasks.
    """
    grouped = runs.groupby(["task", "strategy"], sort=False)
    out = grouped[["gflops", "sampled", "seconds"]].mean()
    base = out["gflops"].xs(baseline, level="strategy")
    out.insert(1, "gflops_ratio", out["gflops"] / base.reindex(out.index.get_level_values("task")).to_numpy())
    out["never_99"] = grouped["measurements_99"].agg(lambda count: float(np.isinf(count).mean()))
    mean = out.groupby(level="strategy", sort=False).mean().assign(gflops=np.nan)
    mean.index = pd.MultiIndex.from_product([[AVERAGE], mean.index], names=out.index.names)
    return pd.concat([out, mean]).reset_index()


def by_model(runs: pd.DataFrame, baseline: str, whole: pd.DataFrame | None = None) -> pd.DataFrame:
    """Search time and latency of each network, means over seeds, as the papers' tables, whose figures are below ours.

    A network's time is the sum over its tasks, its latency the sum over all calls of those tasks that were searched;
    where the network was measured as a whole, that. Reductions are in per cent of the baseline's of the same source,
    negative ones gains.

    Returns:
        A row a source, network and strategy: tasks, search_s, search_change, latency_ms, latency_change, variance_ms2,
        variance_change, hypervolume.
    """
    model = runs["task"].str.rpartition("/")[0].where(runs["task"].str.contains("/"), runs["task"])
    known = runs.assign(model=model, latency_ms=1e3 * runs["latency_s"] * runs["calls"])
    searches = known.groupby(["model", "strategy", "seed"], sort=False)
    sums = searches.agg(tasks=("task", "nunique"), search_s=("seconds", "sum"), latency_ms=("latency_ms", "sum"))
    ours = sums.groupby(["model", "strategy"], sort=False).mean().reset_index()
    ours = ours.assign(source=OURS, variance_ms2=np.nan, hypervolume=np.nan, tasks=ours["tasks"].astype("Int64"))
    if whole is not None and len(whole):
        means = whole.groupby(["model", "strategy"])[["latency_ms", "variance_ms2"]].mean()
        ours = ours.set_index(["model", "strategy"])
        ours.update(means)
        ours = ours.reset_index()
    theirs = published()
    ours["model"] = ours["model"].str.removeprefix("zoo:")
    theirs = theirs[theirs["model"].isin(ours["model"])]
    return with_changes(pd.concat([ours, theirs], ignore_index=True), baseline)


def with_changes(table: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """The table of `by_model` with the changes against the baseline of each source, which a paper's is AutoTVM."""
    parts = []
    for (source, _), group in table.groupby(["source", "model"], sort=False):
        base = group[group["strategy"] == (baseline if source == OURS else "autotvm")].iloc[0]
        group = group.copy()
        for what in ("search_s", "latency_ms", "variance_ms2"):
            group[f"{what.rpartition('_')[0]}_change"] = 100 * (group[what] / base[what] - 1)
        ratios = [group[what] / base[what] for what in ("search_s", "latency_ms")]
        dominated = pd.Series(hypervolume(*ratios), group.index)
        group["hypervolume"] = group["hypervolume"].fillna(dominated) if source != OURS else dominated
        parts.append(group)
    columns = ["source", "model", "strategy", "tasks", "search_s", "search_change", "latency_ms", "latency_change"]
    return pd.concat(parts, ignore_index=True)[[*columns, "variance_ms2", "variance_change", "hypervolume"]]
