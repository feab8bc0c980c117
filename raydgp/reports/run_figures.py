"""The figures of a run as files: the model's time as it fell, its layers on the roofline, where the time went."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from raydgp.records import RunFolder
from raydgp.reports.figures import COLOURS, Drawing, draw
from raydgp.reports.views import RunView

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def write(run_dir: Path, folder: Path) -> list[Path]:
    """Draws what a run has figures for; files of these names are replaced.

    Raises:
        InputError: it is not a run, or the folder cannot be written.
    """
    view = RunView.of(RunFolder(run_dir))
    drawings: dict[str, Drawing] = {"time": lambda axes: _time(axes, view)}
    if view.curve.xs:
        drawings["convergence"] = lambda axes: _convergence(axes, view)
    if view.moves and view.manifest.peak_gflops:
        drawings["roofline"] = lambda axes: _roofline(axes, view)
    return draw(drawings, folder)


def _convergence(axes: Axes, view: RunView) -> None:
    axes.step(view.curve.xs, view.curve.ys, where="post", color=COLOURS[0])
    axes.set(xlabel="configurations measured", ylabel="ms, all layers", ylim=(0, None))


def _roofline(axes: Axes, view: RunView) -> None:
    """Layers below what arithmetic and memory allow (Williams et al. 2009), before and after."""
    peak, gb_s = view.manifest.peak_gflops, view.deployed.gb_s if view.deployed else None
    assert peak
    intensity = np.array([move.intensity for move in view.moves])
    before, after = (np.array([getattr(move, name) for move in view.moves]) for name in ("before", "after"))
    ends = np.geomspace(intensity.min() / 2, intensity.max() * 2, 200)
    roof = np.minimum(peak, gb_s * ends) if gb_s else np.full_like(ends, peak)
    said = f"measured peak of {peak:.0f} GFLOPS" + (f" and memory of {gb_s:.0f} GB/s" if gb_s else "")
    axes.plot(ends, roof, color="0.3", label=said)
    known = before > 0
    axes.vlines(intensity[known], before[known], after[known], color="0.7", linewidth=0.8)
    axes.scatter(intensity[known], before[known], s=18, facecolors="none", edgecolors=COLOURS[1], label="before")
    axes.scatter(intensity, after, s=24, color=COLOURS[0], label="after")
    axes.set(xscale="log", yscale="log", xlabel="operations a byte", ylabel="GFLOPS")
    axes.legend(fontsize="small")


def _time(axes: Axes, view: RunView) -> None:
    names, seconds = zip(*view.phases, strict=True)
    axes.barh(names, seconds, color=COLOURS[0])
    axes.invert_yaxis()
    axes.set(xlabel="seconds of all workers together, waiting not counted")
