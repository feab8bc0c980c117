"""The figures of a comparison as files, drawn by matplotlib: as SVG for pages and PDF for papers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from raydgp.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_KINDS = ("svg", "pdf")
_LONGEST_NAME = 28  # of a task, or the axes have no room
_PHASES = {"build_s": "building", "run_s": "checking and timing", "thinking_s": "the strategy itself"}
# Colours of Okabe and Ito, which differ for the colour-blind too; lines and markers differ as well.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_DASHES, _MARKERS = ("-", "--", "-.", ":"), "osD^vPX*"


def write(runs: pd.DataFrame, models: pd.DataFrame, baseline: str, folder: Path) -> list[Path]:
    """Draws what the comparison has figures for; files of these names are replaced.

    Args:
        runs: a row a search, with quality_<n> where its best is known after n measurements as a share of the best.
        models: a row a network and strategy, with search_s, latency_ms and source.
        baseline: strategy that ratios are over.

    Raises:
        InputError: the folder cannot be written.
    """
    # takes a second, and only figures need it; without a display
    from matplotlib.figure import Figure

    drawings: dict[str, Callable[[Axes], None]] = {
        "convergence": lambda axes: _convergence(axes, runs),
        "gflops": lambda axes: _ratios(axes, runs, baseline),
        "sampled": lambda axes: _sampled(axes, runs, baseline),
        "time": lambda axes: _time(axes, runs),
        "hypervolume": lambda axes: _hypervolume(axes, models, baseline),
    }
    if not any(name.startswith("quality_") for name in runs.columns):
        del drawings["convergence"]
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, draw in drawings.items():
            figure = Figure(figsize=(7, 4), layout="constrained")
            draw(figure.add_subplot())
            for kind in _KINDS:
                written.append(folder / f"{name}.{kind}")
                figure.savefig(written[-1])
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; give --figures a folder that can be written") from None
    return written


def _style(place: int) -> dict[str, Any]:
    return {"color": _COLOURS[place % len(_COLOURS)], "linestyle": _DASHES[place % len(_DASHES)]}


def _marker(place: int) -> dict[str, Any]:
    return {"color": _COLOURS[place % len(_COLOURS)], "marker": _MARKERS[place % len(_MARKERS)]}


def _convergence(axes: Axes, runs: pd.DataFrame) -> None:
    """Medians over tasks and seeds, and bands from the first to the third quartile."""
    columns = [str(name) for name in runs.columns if str(name).startswith("quality_")]
    counts = [int(name.rpartition("_")[2]) for name in columns]
    for place, (name, group) in enumerate(runs.groupby("strategy", sort=False)):
        low, middle, high = np.nanquantile(group[columns].to_numpy(float), [0.25, 0.5, 0.75], axis=0)
        axes.plot(counts, middle, label=str(name), **_style(place))
        axes.fill_between(counts, low, high, color=_COLOURS[place % len(_COLOURS)], alpha=0.15, linewidth=0)
    axes.set(xscale="log", xlabel="configurations measured", ylabel="best found, of the best of the space")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.legend()


def _over_baseline(runs: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Mean GFLOPS of tasks and strategies over the baseline's, in their order; NaN where that has none."""
    means = runs.groupby(["task", "strategy"], sort=False)["gflops"].mean().unstack(sort=False)
    return means.div(means[baseline].where(means[baseline] > 0), axis=0)


def _ratios(axes: Axes, runs: pd.DataFrame, baseline: str) -> None:
    ratios = _over_baseline(runs, baseline)
    width = 0.8 / len(ratios.columns)
    for place, name in enumerate(ratios.columns):
        at = np.arange(len(ratios)) + (place - (len(ratios.columns) - 1) / 2) * width
        axes.bar(at, ratios[name], width, label=name, color=_COLOURS[place % len(_COLOURS)])
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
        axes.barh(means.index, means[column], left=left, label=said, color=_COLOURS[place])
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
                axes.fill_between([left, 1], bottom, 1, color=_COLOURS[place % len(_COLOURS)], alpha=0.1, linewidth=0)
    axes.axhline(1, color="0.3", linewidth=0.8)
    axes.axvline(1, color="0.3", linewidth=0.8)
    axes.set(xlabel=f"search time over {baseline}'s", ylabel=f"latency over {baseline}'s", xlim=(0, None))
    axes.legend(fontsize="small")
