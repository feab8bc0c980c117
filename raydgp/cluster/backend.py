"""What builds and runs kernels on the cluster's machines. Tests put instant or failing ones in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from raydgp.run.builder import Builder, Built
from raydgp.run.supervisor import Result, Supervisor
from raydgp.settings import MeasureSettings
from raydgp.space import ConfigSpace
from raydgp.targets import Target


class Executor(Protocol):
    """Where kernels run: one device, one kernel at a time."""

    target: Target
    device: dict[str, Any]
    versions: dict[str, str]

    def run(self, space: ConfigSpace, index: int, library: bytes) -> Result:
        """Checks and times one built configuration."""


class SupervisedExecutor:
    """The device of this process, behind a supervised child.

    Raises:
        InputError: no such device here, or fewer cores than threads.
    """

    def __init__(self, target: str, settings: MeasureSettings) -> None:

        from raydgp.targets.compiler import versions  # imports TVM

        self.target = Target.here(target)
        self._settings = settings
        self._supervisor = Supervisor(settings.threads)
        self.device = self.target.behaviour.device(self.target, self._supervisor.threads)
        self.versions = versions()

    def run(self, space: ConfigSpace, index: int, library: bytes) -> Result:
        return self._supervisor.run(space, index, library, self._settings)


@dataclass(frozen=True)
class Backend:
    """How a cluster builds and runs.

    Attributes:
        build: (space, index, target, time limit in seconds) -> outcome; called in a worker process of its own. None
            where there is nothing to build.
        executor: (name of the target, settings) -> an executor; called once in every runner.
    """

    build: Callable[[ConfigSpace, int, Target, float], Built] | None
    executor: Callable[[str, MeasureSettings], Executor]


def build(space: ConfigSpace, index: int, target: Target, timeout_s: float) -> Built:
    """Builds in this process's compiling child, which stays for the next one."""
    return _builder().build(space, index, target, timeout_s)


@cache
def _builder() -> Builder:
    return Builder()


REAL = Backend(build, SupervisedExecutor)
