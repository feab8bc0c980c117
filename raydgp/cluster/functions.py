"""A user's function in place of kernels: nothing is built, and a supervised child of each runner calls it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import cloudpickle

import raydgp
from raydgp.cluster.backend import Backend
from raydgp.errors import InputError, NoReference
from raydgp.run.supervisor import Result, Supervisor
from raydgp.sandbox.cpus import own_cpus
from raydgp.settings import MeasureSettings
from raydgp.space import ConfigSpace
from raydgp.targets import Target, kind_named

Function = Callable[[dict[str, Any]], Any]


def function_backend(measure: Function, resources: Mapping[str, float]) -> Backend:
    """What measures with a function of a configuration that returns seconds.

    Args:
        resources: that a runner holds; whole processors are the threads that libraries are told to use.
    """
    # by value where it is of the user's script, and with the way to its modules where it is not
    code = cloudpickle.dumps((list(sys.path), cloudpickle.dumps(measure)))
    return Backend(None, _Starts(code, max(1, int(resources.get("cpu", 1))), resources.get("gpu", 0) > 0))


@dataclass(frozen=True)
class _Starts:
    """Makes the executor in a runner's process."""

    code: bytes
    threads: int
    gpu: bool

    def __call__(self, kind: str, settings: MeasureSettings) -> FunctionExecutor:
        return FunctionExecutor(kind, settings, self.code, self.threads, self.gpu)


class FunctionExecutor:
    """The function of this process, behind a supervised child."""

    def __init__(self, kind: str, settings: MeasureSettings, code: bytes, threads: int, gpu: bool) -> None:
        self.target = Target.here(kind)
        self._settings = settings
        self._supervisor = Supervisor(threads, own_cpus(), "raydgp.run.function_child", code)
        self.device = {**_device(self.target, gpu), "kind": kind}
        self.versions = {"raydgp": raydgp.__version__, "python": sys.version.partition(" ")[0]}

    def run(self, space: ConfigSpace, index: int, library: bytes) -> Result:
        try:
            return self._supervisor.run(space, index, library, self._settings)
        except NoReference as error:
            reason = str(error).partition(": ")[2]
            raise NoReference(f"the function cannot be loaded by its runner ({reason}); mend it") from None


def _device(target: Target, gpu: bool) -> dict[str, Any]:
    """The GPU that the runner holds, where it is one that can be asked, or else the processor."""
    if gpu:
        with suppress(InputError):
            return kind_named("cuda").device(Target.named("cuda"))
    return target.behaviour.device(target)
