"""Runs side by side: what they did to the layers that they share, and what forbids to compare them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raydgp.reports.views import LayerView, RunView


@dataclass(frozen=True)
class Row:
    """A layer: how it came out in each run, None where a run has no result of it."""

    name: str
    cells: list[LayerView | None]

    @property
    def fastest_s(self) -> float:
        """Seconds a call of the fastest."""
        return min(cell.task.latency_s for cell in self.cells if cell)


class Comparison:
    """Several runs.

    Attributes:
        runs: in the order given.
    """

    def __init__(self, runs: Sequence[RunView]) -> None:
        self.runs = runs

    @property
    def rows(self) -> list[Row]:
        """The layers that several runs have tuned, by workload; those that take longest in the first run first."""
        found: dict[object, list[LayerView | None]] = {}
        for place, run in enumerate(self.runs):
            for layer in run.layers:
                cells = found.setdefault(layer.task.workload.layer, [None] * len(self.runs))
                cells[place] = layer if layer.task.best else None
        shared = [[*cells] for cells in found.values() if sum(cell is not None for cell in cells) > 1]
        return [Row(next(cell.task.name for cell in cells if cell), cells) for cells in shared]

    @property
    def deployed(self) -> bool:
        """Whether of any of them a model was deployed."""
        return any(run.deployed for run in self.runs)

    @property
    def warnings(self) -> list[str]:
        """What differs between the runs beside what one compares."""
        said = []
        devices = {
            f"{run.manifest.device.get('name')}, {run.manifest.device.get('threads', 1)} threads" for run in self.runs
        }
        if len(devices) > 1:
            said.append(f"They ran on different devices: {'; '.join(sorted(devices))}.")
        if len({run.settings.model for run in self.runs}) > 1:
            said.append("They tuned different models: only the layers that they share can be compared.")
        if len({run.manifest.versions.get("tvm") for run in self.runs}) > 1:
            said.append("They ran with different versions of TVM.")
        said += [
            f"{run.name} has no result of {len(run.network.unmeasured)} of {run.network.layers} layers; its sum is "
            "without them."
            for run in self.runs
            if run.network.unmeasured
        ]
        return said
