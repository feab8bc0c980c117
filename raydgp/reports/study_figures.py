"""The figures of a comparison as files, drawn by matplotlib: as SVG for pages and PDF for papers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from raydgp.reports.figures import COLOURS, Drawing, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LONGEST_NAME = 28  # of a task, or the axes have no room
_PHASES = {"build_s": "building", "run_s": "checking and timing", "thinking_s": "the strategy itself"}
_DASHES, _MARKERS = ("-", "--", "-.", ":"), "osD^vPX*"


def write(
    runs: pd.DataFrame, models: pd.DataFrame, baseline: str, folder: Path, predicted: pd.DataFrame | None = None
) -> list[Path]:
    """Draws what the comparison has figures for; files of these names are replaced.

    Args:
        runs: a row a search, with quality_<n> where its best is known after n measurements as a share of the best, and
            start_<rank> of its first ones, see `raydgp.app.compare.summary.starts`.
        models: a row a network and strategy, with search_s, latency_ms and source.
        baseline: strategy that ratios are over.
        predicted: what models expected of tasks that they had not seen, of `raydgp.app.compare.predictions`.

    Raises:
        InputError: the folder cannot be written.
    """
    drawings: dict[str, Drawing] = {
        "convergence": lambda axes: _convergence(axes, runs),
        "starts": lambda axes: _starts(axes, runs),
        "gflops": lambda axes: _ratios(axes, runs, baseline),
        "sampled": lambda axes: _sampled(axes, runs, baseline),
        "time": lambda axes: _time(axes, runs),
        "hypervolume": lambda axes: _hypervolume(axes, models, baseline),
    }
    if not _numbered(runs, "quality_"):
        del drawings["convergence"]
    if not _numbered(runs, "start_"):
        del drawings["starts"]
    if predicted is not None and len(predicted):
        drawings["predictions"] = lambda axes: _predictions(axes, predicted)
    return draw(drawings, folder)


def _numbered(runs: pd.DataFrame, prefix: str) -> dict[int, str]:
    """The columns <prefix><number> that have values, by number."""
    found = [str(name) for name in runs.columns if str(name).startswith(prefix) and runs[name].notna().any()]
    return {int(name.removeprefix(prefix)): name for name in found}


def _style(place: int) -> dict[str, Any]:
    return {"color": COLOURS[place % len(COLOURS)], "linestyle": _DASHES[place % len(_DASHES)]}


def _marker(place: int) -> dict[str, Any]:
    return {"color": COLOURS[place % len(COLOURS)], "marker": _MARKERS[place % len(_MARKERS)]}


def _banded(axes: Axes, runs: pd.DataFrame, columns: dict[int, str]) -> None:
    """Medians over tasks and seeds, and bands from the first to the third quartile."""
    for place, (name, group) in enumerate(runs.groupby("strategy", sort=False)):
        low, middle, high = np.nanquantile(group[list(columns.values())].to_numpy(float), [0.25, 0.5, 0.75], axis=0)
        axes.plot(list(columns), middle, label=str(name), **_style(place))
        axes.fill_between(list(columns), low, high, color=COLOURS[place % len(COLOURS)], alpha=0.15, linewidth=0)
    axes.set(xscale="log")
    axes.set_xticks(list(columns), list(map(str, columns)))
    axes.minorticks_off()
    axes.legend()


def _convergence(axes: Axes, runs: pd.DataFrame) -> None:
    _banded(axes, runs, _numbered(runs, "quality_"))
    axes.set(xlabel="configurations measured", ylabel="best found, of the best of the space")


def _starts(axes: Axes, runs: pd.DataFrame) -> None:
    """The first measurements in descending order, as the deep-GP paper shows its tuning set beside a random one."""
    columns = _numbered(runs, "start_")
    _banded(axes, runs, columns)
    title = f"rank among the first {max(columns)} measured"
    axes.set(xlabel=title, ylabel="GFLOPS, of the best of the space", ylim=(0, 1.02))


def _predictions(axes: Axes, predicted: pd.DataFrame) -> None:
    for place, (kind, group) in enumerate(predicted.groupby("kind", sort=False)):
        ranks = group.groupby("task")[["predicted", "measured"]].corr("spearman").iloc[::2, 1]
        label = f"{kind}: rank correlation {ranks.median():.2f}, the median of {len(ranks)} tasks"
        axes.scatter(group["predicted"], group["measured"], s=6, alpha=0.4, label=label, **_marker(place))
    axes.plot([0, 1], [0, 1], color="0.3", linewidth=0.8)
    axes.set(xlabel="predicted before any measurement, of the best predicted", ylabel="measured, of the best")
    axes.legend(fontsize="small")


def _over_baseline(runs: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Mean GFLOPS of tasks and strategies over the baseline's, in their order; NaN where that has none."""
    means = runs.groupby(["task", "strategy"], sort=False)["gflops"].mean().unstack(sort=False)
    return means.div(means[baseline].where(means[baseline] > 0), axis=0)


def _ratios(axes: Axes, runs: pd.DataFrame, baseline: str) -> None:
    ratios = _over_baseline(runs, baseline)
    width = 0.8 / len(ratios.columns)
    for place, name in enumerate(ratios.columns):
        at = np.arange(len(ratios)) + (place - (len(ratios.columns) - 1) / 2) * width
        axes.bar(at, ratios[name], width, label=name, color=COLOURS[place % len(COLOURS)])
    names = [str(name)[-_LONGEST_NAME:] for name in ratios.index]  # of a file, the end tells more than its folder
    axes.set_xticks(range(len(ratios)), names, rotation=45, ha="right", fontsize="small")
    axes.axhline(1, color="0.3", linewidth=0.8)
    low = float(np.nanmin(ratios.to_numpy(), initial=1.0))
    axes.set(ylabel=f"GFLOPS over {baseline}'s", ylim=(max(0, low - 0.1), None))
    axes.legend(fontsize="small")


def _sampled(axes: Axes, runs: pd.DataFrame, baseline: str) -> None:
    """A mark a task and strategy, as figure 5 of the paper of BTED and BAO (DATE 2021)."""
    ratios = _over_baseline(runs, baseline)
    counts = runs.groupby(["task", "strategy"], sort=False)["sampled"].mean().unstack(sort=False)
    for place, name in enumerate(ratios.columns):
        axes.scatter(counts[name], ratios[name], label=name, s=24, **_marker(place))
    axes.axhline(1, color="0.3", linewidth=0.8)
    axes.set(xlabel="configurations sampled", ylabel=f"GFLOPS over {baseline}'s", xlim=(0, None))
    axes.legend(fontsize="small")


def _time(axes: Axes, runs: pd.DataFrame) -> None:
    means = runs.groupby("strategy", sort=False)[list(_PHASES)].mean()
    left = np.zeros(len(means))
    for place, (column, said) in enumerate(_PHASES.items()):
        axes.barh(means.index, means[column], left=left, label=said, color=COLOURS[place])
        left += means[column].to_numpy()
    axes.invert_yaxis()
    axes.set(xlabel="seconds a search, one thing after the other")
    axes.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, 1.15), ncols=len(_PHASES))


def _hypervolume(axes: Axes, models: pd.DataFrame, baseline: str) -> None:
    """Search time and latency over the baseline's of the same source; shaded what the best of each dominates."""
    ours = models[models["source"] == models["source"].iloc[0]]
    for place, (name, group) in enumerate(ours.groupby("strategy", sort=False)):
        base = ours[ours["strategy"] == baseline].set_index("model").loc[group["model"]]
        found = np.isfinite(group["latency_ms"].to_numpy()) & np.isfinite(base["latency_ms"].to_numpy())
        x, y = (group[what].to_numpy()[found] / base[what].to_numpy()[found] for what in ("search_s", "latency_ms"))
        axes.scatter(x, y, label=str(name), s=28, zorder=3, **_marker(place))
        for left, bottom in zip(x, y, strict=True):
            if left < 1 and bottom < 1:
                axes.fill_between([left, 1], bottom, 1, color=COLOURS[place % len(COLOURS)], alpha=0.1, linewidth=0)
    axes.axhline(1, color="0.3", linewidth=0.8)
    axes.axvline(1, color="0.3", linewidth=0.8)
    axes.set(xlabel=f"search time over {baseline}'s", ylabel=f"latency over {baseline}'s", xlim=(0, None))
    axes.legend(fontsize="small")
