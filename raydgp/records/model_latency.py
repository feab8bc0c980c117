"""How long a whole model takes, and each of its kernels within it."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

from pydantic import BaseModel, ConfigDict

from raydgp.records.measurement import Status


class KernelShare(BaseModel):
    """A kernel of a model.

    Attributes:
        name: of the model's function.
        task: of the run, that it is a kernel of; empty where it is of none.
        calls: how often the model calls it.
        time_s: seconds that all its calls together take.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    task: str = ""
    calls: int
    time_s: float


class ModelLatency(BaseModel):
    """A measurement of a whole model, from its inputs on the device to its outputs there.

    Attributes:
        name: unique within the run.
        source, digest: where the model came from, and what it is.
        status: as of a kernel's measurement.
        error: one line; empty when ok.
        times_s: seconds a call of every repeat; empty unless ok.
        kernels: in the order of their first calls, each timed within the model; empty unless ok.
        conditions: clocks, temperature and power of the device, where they can be read.
        time_unix_s: when it was measured.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    source: str
    digest: str
    status: Status
    error: str = ""
    times_s: tuple[float, ...] = ()
    kernels: tuple[KernelShare, ...] = ()
    conditions: dict[str, float] = {}
    time_unix_s: float

    @property
    def median_s(self) -> float:
        """Seconds a call; infinite unless ok."""
        return median(self.times_s) if self.times_s else math.inf

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        latency_ms = 1e3 * self.median_s if self.times_s else None
        return {**self.model_dump(mode="json"), "latency_ms": latency_ms}
