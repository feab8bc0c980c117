"""What a pool of runners is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from raydgp.settings import MeasureSettings
from raydgp.settings.target import kind_of
from raydgp.targets import Kind, kind_named


@dataclass(frozen=True, kw_only=True)
class PoolSettings:
    """What a pool is told.

    Attributes:
        target: name of the runners' target.
        runners: at most so many; as many as there is room for by default.
        cores_per_runner: that a runner on processors is held to; all of its node by default, which then has one runner.
        accelerator: Ray's label of the GPUs to use; any by default.
        resources: that a runner holds, by Ray's names; those of the kind by default.
        parts: that the driver has registered, see `raydgp.registry.registered`.
        grace_s: what a build or run may take beyond its own limit, which its supervisor keeps: the start of children
            and the first reference of a workload.
        patience_s: how long no runner may be there before the run is given up.
        scan_s: how often nodes are looked at.
    """

    target: str
    measure: MeasureSettings
    runners: int | None = None
    cores_per_runner: int | None = None
    accelerator: str | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    parts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    grace_s: float = 260.0
    patience_s: float = 120.0
    scan_s: float = 2.0

    @property
    def kind(self) -> Kind:
        """Of the target."""
        return kind_named(kind_of(self.target))
