"""Which configuration every kernel of a model gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, cast

from raydgp.records import Measurement
from raydgp.records.summary import TaskSummary
from raydgp.space import ConfigSpace
from raydgp.targets import Target
from raydgp.templates.registry import template_for
from raydgp.templates.spaces import config_space
from raydgp.workloads import Fused, Workload


@dataclass(frozen=True)
class Kernels:
    """The chosen configuration of each layer, and the default of every other.

    Attributes:
        target: of the run.
        chosen: of a layer the task that computes it, with the measurement that it is chosen for as its best.
        unmeasured: the configuration of a kernel whose space has no measurement; the default unless said.
    """

    target: Target
    chosen: Mapping[Workload, TaskSummary]
    unmeasured: Callable[[ConfigSpace], int] = attrgetter("default")

    def best(self, workload: Workload) -> Measurement | None:
        """What the layer of a workload is chosen for; None where nothing is known of it."""
        return self.chosen[workload.layer].best if workload.layer in self.chosen else None

    def index(self, workload: Workload) -> int:
        best = self.best(workload)
        return best.index if best else self.unmeasured(config_space(workload, self.target))

    def seconds(self, workload: Workload) -> float | None:
        """Measured latency of a call; None where nothing is known."""
        best = self.best(workload)
        return best.median_s if best else None

    def knobs(self, workload: Workload) -> dict[str, Any]:
        return config_space(workload, self.target).decode(self.index(workload))

    def choose(self, layer: Fused) -> tuple[Fused, dict[str, Any]]:
        """The algorithm that computes a layer, as its workload, and the knobs."""
        workload = cast(Fused, self.chosen[layer].workload) if layer in self.chosen else layer
        return workload, self.knobs(workload)

    def scheduled(self, workload: Workload) -> Any:
        """The kernel's function with its schedule applied."""
        template = template_for(config_space(workload, self.target))
        return template.schedule(workload, self.knobs(workload), self.target)["main"]
