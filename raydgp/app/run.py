"""A run as its user has it: what it has found as tables and a plot, and the way to a deployed model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from raydgp.records import RunFolder, RunManifest
from raydgp.records.history import first, searched
from raydgp.records.run import runs_in
from raydgp.records.summary import RunSummary
from raydgp.settings import TuneSettings
from raydgp.workloads import from_dict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from raydgp.app.observer import Observer
    from raydgp.models.folder import Library

_NAMED = 3  # tasks that a note names


class Run:
    """A run of the tuner, finished or not; all it says is read anew from its folder.

    Args:
        folder: of the run.
        notes: lines on what else the user should know.

    Raises:
        InputError: the folder is not a run.
    """

    def __init__(self, folder: RunFolder, notes: Sequence[str] = ()) -> None:
        self._folder, self._notes = folder, list(notes)
        _ = folder.manifest

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """The run of a folder such as `runs/NAME`.

        Raises:
            InputError: the folder is not a run.
        """
        return cls(RunFolder(Path(folder)))

    @classmethod
    def all_in(cls, folder: str | Path) -> list[Run]:
        """The runs of a folder such as `runs`, the oldest first; what is no run of this raydgp is passed over."""
        runs = [cls(run) for run in runs_in(Path(folder))]
        return sorted(runs, key=lambda run: run.manifest.created_unix_s)

    @property
    def folder(self) -> Path:
        return self._folder.path

    @property
    def name(self) -> str:
        return self._folder.name

    @property
    def manifest(self) -> RunManifest:
        """What was asked for, of what, and where."""
        self._folder.reload()
        return self._folder.manifest

    @property
    def settings(self) -> TuneSettings:
        return self.manifest.tune_settings()

    @property
    def summary(self) -> RunSummary:
        """What has been found, task by task."""
        self._folder.reload()
        return self._folder.summary()

    @property
    def notes(self) -> list[str]:
        """Lines on what is missing, damaged, or to be found elsewhere."""
        notes = [*self.manifest.notes, *([self._unmeasured()] if self.summary.unmeasured else [])]
        found = self._folder.scan()
        if damaged := found.quarantined:
            lines = ", ".join(str(each.line) for each in damaged[:5])
            notes.append(f"{self._folder.journal}: {len(damaged)} damaged lines left out (line {lines})")
        machine = self.manifest.machine
        if others := sum(not machine.measured(record) for record in found.records):
            notes.append(f"{self._folder.journal}: {others} measurements of other machines left out")
        return notes + self._notes

    @property
    def best(self) -> pd.DataFrame:
        """A row a task, by its name: count, default and best GFLOPS and latency in microseconds, speedup, knobs."""
        import pandas as pd  # takes a while, and the command line needs no table

        summary, peak_gflops = self.summary, self.manifest.peak_gflops
        rows = pd.DataFrame([task.row(peak_gflops) for task in summary.tasks.values()])
        return rows.rename(columns={"best_knobs": "knobs"}).set_index("task")

    @property
    def records(self) -> pd.DataFrame:
        """A row a measurement, in the order of the journal, those of finalists last; knobs are a dictionary.

        `gflops` is 0 and `latency_us` is missing where it did not run or gave a wrong answer.
        """
        import pandas as pd  # as above

        rows, flops = [], {entry.name: from_dict(entry.workload).flops for entry in self.manifest.tasks}
        found = self._folder.scan().records
        for record in [*first(filter(searched, found)), *(record for record in found if not searched(record))]:
            context, measured = record.context, record.measurement
            rows.append(
                {
                    "task": context.task,
                    "strategy": context.strategy,
                    "trial": record.trial,
                    "index": measured.index,
                    "status": str(measured.status),
                    "gflops": measured.gflops(flops.get(context.task, 0)),
                    "latency_us": 1e6 * measured.median_s if measured.ok else math.nan,
                    "spread": measured.spread,
                    **msgspec.structs.asdict(measured.phases),
                    "time": pd.Timestamp(measured.time_ms, unit="ms", tz="UTC"),
                    "knobs": record.knobs,
                    "error": measured.error,
                }
            )
        return pd.DataFrame(rows)

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draws the best GFLOPS by the number of measurements, a line a task.

        Args:
            axes: where to draw; new ones by default.
        """
        import matplotlib.pyplot as plt  # takes a second, and only plots need it

        if axes is None:
            axes = plt.subplots(figsize=(8, 4.5))[1]
        for task in self.summary.tasks.values():
            gflops = [task.workload.flops / best_s / 1e9 if math.isfinite(best_s) else 0.0 for best_s in task.best_s]
            axes.step(range(1, len(gflops) + 1), gflops, where="post", label=task.name)
        axes.set(title=self.name, xlabel="measurements", ylabel="best GFLOPS", ylim=(0, None))
        if axes.lines:
            axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return axes

    def deploy(
        self,
        out: str | Path | None = None,
        compare: Sequence[str] = (),
        runs: int = 600,
        observer: Observer | None = None,
    ) -> Library:
        """Compiles the model with the best that was found, measures it, and writes the folder that runs it.

        Args:
            out: the folder; `deployed/<run>` by default.
            compare: what is timed beside it: torch, onnxruntime, metaschedule, untuned.
            runs: timed calls of each.
            observer: is told how it goes on; the logger `raydgp` by default.

        Returns:
            The model, to be called with arrays; its `manifest` holds the latencies.

        Raises:
            InputError: the run tuned layers, not a model; the model has changed since; or an unknown rival.
        """
        # they load TVM and torch, which looking at a run need not
        from raydgp.app.deploy import deploy_run
        from raydgp.models.folder import Library

        return Library(deploy_run(self.folder, Path(out) if out else None, compare, runs, observer).folder)

    def to_dict(self) -> dict[str, Any]:
        """What was found, JSON-able; what is not known is None."""
        summary, manifest = self.summary, self.manifest
        network = summary.network()
        default_known, best_known = not network.without_default, not network.unmeasured
        return {
            "run_dir": str(self.folder),
            "layers": [task.row(manifest.peak_gflops) for task in summary.tasks.values()],
            "default_latency_ms": 1e3 * network.default_s if default_known else None,
            "best_latency_ms": 1e3 * network.best_s if best_known else None,
            "known_best_latency_ms": 1e3 * network.best_s,
            "speedup": None if math.isnan(network.speedup) else network.speedup,
            "models": [model.to_dict() for model in manifest.models],
            "peak_gflops": manifest.peak_gflops,
            "measured_tasks": len(summary.tasks) - len(summary.unmeasured),
            "unmeasured_tasks": summary.unmeasured,
            "phases_s": summary.phases_s,
            "notes": self.notes,
        }

    def _unmeasured(self) -> str:
        """Why some tasks have no measurement, and what to do."""
        summary, manifest = self.summary, self.manifest
        names, total, minutes = summary.unmeasured, len(summary.tasks), manifest.settings.get("minutes")
        why, remedy = "Not every task was searched", "the same command with all tasks goes on"
        if manifest.finished_unix_s is None:
            why, remedy = "The run is not finished", "the same command goes on"
        elif minutes:
            why = f"The time was up after {minutes:g} minutes"
            remedy = "the same command with more --minutes goes on"
        missing = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        return f"{why}: {total - len(names)} of {total} tasks are measured, {missing} not; {remedy}."

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    def _repr_html_(self) -> str:
        shown = ["count", "default_gflops", "best_gflops", "best_latency_us", "speedup", "measured", "failed"]
        table: str = self.best[shown].to_html(float_format="{:.2f}".format, na_rep="-")
        return f"<p><b>{self.name}</b>: {self.settings.model} on {self.settings.target}</p>{table}"
