"""Measures on this machine: builds in parallel, then times alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from raydgp.errors import InputError
from raydgp.measure.base import Measurer
from raydgp.records import Measurement, Phases, Status
from raydgp.run.builder import Built
from raydgp.run.building import Builders
from raydgp.run.supervisor import Supervisor
from raydgp.settings import MeasureSettings
from raydgp.space import ConfigSpace, Indices
from raydgp.targets import Target
from raydgp.targets.compiler import versions


class LocalMeasurer(Measurer):
    """Builds a batch in child processes, and when all of it is built times one kernel after the other.

    Args:
        target: what it is for.
        workers: builds at a time; one for each processor by default.
        cpus: processors that kernels run on; those of this process by default.
    """

    def __init__(
        self,
        target: Target,
        settings: MeasureSettings = MeasureSettings(),  # noqa: B008 - frozen
        workers: int | None = None,
        cpus: Sequence[int] | None = None,
    ) -> None:
        self._target, self._settings = target, settings
        self._versions = versions()
        self._supervisor = Supervisor(settings.threads, cpus)
        self._device = target.behaviour.device(target, self._supervisor.threads)
        self._builders = Builders(workers, settings.stop_hopeless)

    def measure(self, space: ConfigSpace, indices: Indices) -> list[Measurement]:
        if space.target != self._target.kind:
            raise InputError(f"a space of target {space.target} cannot be measured on {self._target.kind}")
        valid = space.valid(indices)
        wanted = list(dict.fromkeys(int(index) for index, good in zip(indices, valid, strict=True) if good))
        jobs = [(space, index) for index in wanted]
        built = dict(zip(wanted, self._builders.build(jobs, self._target, self._settings.build_timeout_s), strict=True))
        return [
            self._run(space, int(index), *built[int(index)])
            if good
            else self._measurement(int(index), Status.INVALID, error=f"statically invalid on {space.target}")
            for index, good in zip(indices, valid, strict=True)
        ]

    def close(self) -> None:
        self._supervisor.close()
        self._builders.close()

    def _run(self, space: ConfigSpace, index: int, built: Built, built_at_s: float) -> Measurement:
        if built.status is not Status.OK:
            return self._measurement(index, built.status, Phases(build_s=built.build_s), error=built.error)
        queue_s = time.monotonic() - built_at_s
        result = self._supervisor.run(space, index, built.library, self._settings)
        phases = Phases(build_s=built.build_s, queue_s=queue_s, run_s=result.run_s)
        gained = {"resources": built.resources, "conditions": result.conditions}
        return self._measurement(index, result.status, phases, result.times_s, result.error, **gained)

    def _measurement(
        self,
        index: int,
        status: Status,
        phases: Phases | None = None,
        times_s: tuple[float, ...] = (),
        error: str = "",
        **gained: Any,
    ) -> Measurement:
        return Measurement(
            index=index,
            status=status,
            times_s=times_s,
            phases=phases or Phases(),
            error=error,
            device=self._device,
            versions=self._versions,
            time_unix_s=time.time(),
            **gained,
        )
