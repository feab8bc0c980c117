"""Runs foreign kernels without trusting them: in a child that may crash, hang or lie."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Self

from raydgp.errors import ChildDied, ChildHung, InputError, NoReference
from raydgp.records import Status
from raydgp.sandbox.cpus import own_cores, thread_environment
from raydgp.sandbox.process import Child
from raydgp.settings import MeasureSettings
from raydgp.space import ConfigSpace
from raydgp.workloads import Workload

_LOGGER = logging.getLogger(__name__)
_PREPARE_TIMEOUT_S = 120.0  # the reference of a large workload in numpy


@dataclass(frozen=True, kw_only=True)
class Result:
    """The outcome of one run.

    Attributes:
        times_s: seconds a call, one entry a repeat; empty unless ok.
        error: one line; empty when ok.
        run_s: seconds it took here, from the library's bytes to this result.
        conditions: as of `Measurement`.
        log: what its process has logged since the last result, where that is another one than the driver's.
    """

    status: Status
    times_s: tuple[float, ...] = ()
    error: str = ""
    run_s: float = 0.0
    conditions: dict[str, float] = field(default_factory=dict)
    log: tuple[str, ...] = ()

    @classmethod
    def of(cls, answer: dict[str, Any], run_s: float) -> Self:
        """The child's answer as a result; a time that is no time is an error."""
        if "status" not in answer:
            return cls(status=Status.RUN_ERROR, error=answer["error"], run_s=run_s)
        status, times_s = Status(answer["status"]), tuple(float(t) for t in answer["times_s"])
        if status is Status.OK and not (times_s and all(math.isfinite(t) and t > 0 for t in times_s)):
            return cls(status=Status.RUN_ERROR, error=f"the clock gave impossible times {times_s}", run_s=run_s)
        conditions = answer.get("conditions", {})
        return cls(status=status, times_s=times_s, error=answer["error"], run_s=run_s, conditions=conditions)


class Supervisor:
    """Owns one child that loads, checks and times kernels, one at a time, and replaces it when it fails.

    A second child waits, TVM imported, to take its place at once. While it still starts it is stopped during runs, so
    that it disturbs no timing. Not for use by two threads at a time.

    Args:
        threads: of a CPU kernel; one for each of `cpus` by default.
        cpus: processors to pin them to; one of each core of this process by default.
        module: what the children run.
        code: sent to a child before the first kernel of a workload.

    Raises:
        InputError: fewer processors than threads.
    """

    def __init__(
        self,
        threads: int | None = None,
        cpus: Sequence[int] | None = None,
        module: str = "raydgp.run.run_child",
        code: bytes = b"",
    ) -> None:
        self._module, self._code = module, code
        available = list(own_cores() if cpus is None else cpus)
        self.threads = threads or len(available)
        self.cpus = available[: self.threads]
        if len(self.cpus) < self.threads:
            raise InputError(f"threads={self.threads}, but this runner has {len(available)} cores; ask for no more")
        self._child = self._start()
        self._spare: Child | None = None
        self._prepared: tuple[Workload, str, str] | None = None
        self._best_s: dict[str, float] = {}  # seconds a call, by space

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, space: ConfigSpace, index: int, library: bytes, settings: MeasureSettings) -> Result:
        """Checks and times one built configuration.

        The time limit is of the kernel: loading, check, warm-up and timing. It leaves out what is not the kernel's
        fault, the start of a child and the first computation of a workload's reference.

        Raises:
            NoReference: of the workload.
            RaydgpError: no child can be started here. Neither says anything about the configuration.
        """
        self._prepare(space)
        request = {
            "template": space.template,
            "workload": space.workload.to_dict(),
            "knobs": space.decode(index),
            "kind": space.target,
            "settings": settings.model_dump(),
            "best_s": self._best_s.get(space.hash) if settings.stop_hopeless else None,
        }
        begin = time.monotonic()
        try:
            answer, _ = self._child.call(request, library, settings.run_timeout_s)
        except ChildHung as error:
            self._replace(str(error))
            return Result(status=Status.RUN_TIMEOUT, error=str(error), run_s=time.monotonic() - begin)
        except ChildDied as error:
            self._replace(str(error))
            return Result(status=Status.RUN_ERROR, error=str(error), run_s=time.monotonic() - begin)
        except BaseException:  # Ctrl-C while the kernel runs
            self._replace("interrupted")
            raise
        if self._spare:
            self._spare.resume()
        result = Result.of(answer, time.monotonic() - begin)
        if result.status is not Status.OK:
            # What computes nonsense may have written beyond its output, and after an illegal access on a GPU every
            # later call of the process fails.
            self._replace(f"{result.status}: {result.error}")
        else:
            self._best_s[space.hash] = min(median(result.times_s), self._best_s.get(space.hash, math.inf))
        return result

    def close(self) -> None:
        """Ends both children; may be called twice."""
        self._child.kill()
        if self._spare:
            self._spare.kill()

    def _start(self) -> Child:
        # CUDA numbers GPUs by speed unless told to do it as NVML and nvidia-smi do
        environment = {**thread_environment(self.threads), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        return Child(self._module, [",".join(map(str, self.cpus))], environment)

    def _prepare(self, space: ConfigSpace) -> None:
        """A living child that is pinned and has the workload's reference, and a spare that holds still."""
        while not self._child.alive:  # killed from outside while idle: no configuration's fault
            self._replace("it was gone before the run")
        self._child.wait_ready()
        wanted = (space.workload, space.template, space.target)
        if self._prepared != wanted:
            request = {"workload": space.workload.to_dict(), "template": space.template, "kind": space.target}
            try:
                answer, _ = self._child.call(request, self._code, _PREPARE_TIMEOUT_S)
            except BaseException:
                self._replace("it gave no reference")
                raise
            if "error" in answer:
                raise NoReference(f"no reference for {space.workload}: {answer['error']}")
            self._prepared = wanted
        if self._spare is None:
            self._spare = self._start()
        self._spare.pause()

    def _replace(self, reason: str) -> None:
        _LOGGER.warning("child %d restarted: %s", self._child.process.pid, reason)
        self._child.kill()
        self._child, self._spare, self._prepared = self._spare or self._start(), None, None
        self._child.resume()
