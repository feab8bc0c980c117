"""Stations whose kernels are made up: what they do follows from the configuration's index alone."""

from __future__ import annotations

import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import cloudpickle, tune

from raydgp.cluster.backend import Backend
from raydgp.cluster.pool import RunnerPool
from raydgp.cluster.pool_settings import PoolSettings
from raydgp.cluster.recorder import Recorder
from raydgp.errors import NoReference
from raydgp.records import Measurement, Resources, Status
from raydgp.run.builder import Built
from raydgp.run.supervisor import Result
from raydgp.settings import MeasureSettings
from raydgp.space import ConfigSpace
from raydgp.targets import Target
from raydgp.templates.spaces import config_space
from raydgp.workloads import Conv2d, Workload

WORKLOAD = Conv2d(n=1, ci=16, h=14, w=14, co=16, kh=3, kw=3, padding=(1, 1))
USED = Resources(kernel="main_kernel", registers=64, spill_bytes=0, shared_bytes=4096)


def seconds(index: int) -> float:
    """The time that a fake kernel reports: deterministic, and best in the middle of nowhere."""
    return 1e-3 * (1 + (index * 2654435761 % 1000) / 100)


class FakeBench:
    """Reports `seconds(index)`; before that, calls `act(index)`, in the runner's process."""

    def __init__(self, kind: str, act: Callable[[int], None], name: str) -> None:
        self._act = act
        self.target = Target.from_dict({"kind": kind, "name": "fake"})
        self.device: dict[str, Any] = {"kind": kind, "name": name}
        self.versions = {"raydgp": "test"}

    def run(self, space: ConfigSpace, index: int, library: bytes) -> Result:
        began = time.monotonic()
        assert library == str(index).encode()
        self._act(index)
        return Result(status=Status.OK, times_s=(seconds(index),) * 3, run_s=time.monotonic() - began)


def backend(
    run: Callable[[int], None] = lambda index: None,
    build: Callable[[int], None] = lambda index: None,
    opened: Callable[[], None] = lambda: None,
    name: Callable[[], str] = lambda: "fake",
) -> Backend:
    """Builds, runs and starts of runners that do as the functions say: they may crash, hang or end their process.

    Args:
        name: of the device, called in the runner's process.
    """

    def built(space: ConfigSpace, index: int, target: Target, timeout_s: float) -> Built:
        began = time.monotonic()
        build(index)
        resources = (USED,) if target.kind == "cuda" else ()
        build_s = time.monotonic() - began
        return Built(status=Status.OK, library=str(index).encode(), build_s=build_s, resources=resources)

    def executor(kind: str, settings: MeasureSettings) -> FakeBench:
        opened()
        return FakeBench(kind, run, name())

    return Backend(built, executor)


def start_ray(gpus: int = 0) -> None:
    """A local session of two processors and as many GPUs as one likes; the test ends it with `ray.shutdown`."""
    ray.init(
        address="local",
        num_cpus=2,
        num_gpus=gpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )


def pool(backend: Backend, kind: str = "llvm", **settings: Any) -> Any:
    """A pool in the present Ray session; any of `PoolSettings` by name."""
    settings.setdefault("measure", MeasureSettings(build_timeout_s=1.0, run_timeout_s=0.5))
    settings.setdefault("grace_s", 1.0)
    actor: Any = ray.remote(RunnerPool)
    return actor.options(num_cpus=0, max_concurrency=1000).remote(PoolSettings(target=kind, **settings), backend)


def measure(actor: Any, indices: Sequence[int], workload: Workload = WORKLOAD) -> list[Measurement]:
    """What a pool makes of the configurations, all asked for at once."""
    answers = ray.get([actor.measure.remote(workload.to_dict(), int(index)) for index in indices], timeout=60)
    return [Measurement.from_dict(answer) for answer in answers]


def valid_indices(count: int, kind: str = "llvm") -> list[int]:
    space = config_space(WORKLOAD, kind)
    return space.sample_valid(count, np.random.default_rng(0)).tolist()


class Log:
    """Lines that any process may add to and the test reads."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "log"
        self._file.touch()

    def add(self, *words: Any) -> None:
        with self._file.open("a") as file:
            file.write(" ".join(map(str, words)) + "\n")

    def read(self) -> list[list[str]]:
        return [line.split() for line in self._file.read_text().splitlines()]


class Interval:
    """Takes some time and logs `name index start end`."""

    def __init__(self, log: Log, name: str, length_s: float) -> None:
        self._log, self._name, self._length_s = log, name, length_s

    def __call__(self, index: int) -> None:
        start = time.monotonic()
        time.sleep(self._length_s)
        self._log.add(self._name, index, start, time.monotonic())


class Visible:
    """Logs which GPUs the process of each call may see."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def __call__(self, index: int) -> None:
        time.sleep(0.05)
        self._log.add(os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES"))


class Fault:
    """Does something bad for the given configurations the first `times` times that each comes; logs every call."""

    def __init__(self, log: Log, act: Callable[[], None], indices: Sequence[int], times: int) -> None:
        self._log, self._act, self._indices, self._times = log, act, set(indices), times

    def __call__(self, index: int) -> None:
        self._log.add(index, os.getpid())
        if index in self._indices and self.calls(index) <= self._times:
            self._act()

    def calls(self, index: int) -> int:
        return sum(line[0] == str(index) for line in self._log.read())


class Breaks:
    """Raises, but not the first times."""

    def __init__(self, log: Log, after: int) -> None:
        self._log, self._after = log, after

    def __call__(self) -> None:
        self._log.add("opened")
        if self._log.read().count(["opened"]) > self._after:
            raise RuntimeError("out of order")


class Meeting:
    """Given configurations wait for each other, and fail when they do not meet."""

    def __init__(self, log: Log, indices: set[int]) -> None:
        self._log, self._indices = log, indices

    def __call__(self, index: int) -> None:
        if index in self._indices:
            self._log.add(index)
            deadline = time.monotonic() + 30
            while {int(word) for (word,) in self._log.read()} < self._indices:
                assert time.monotonic() < deadline
                time.sleep(0.02)


def mixed() -> str:
    """The name of a GPU on a node where the first one is of another kind than the others."""
    return "A100" if os.environ["CUDA_VISIBLE_DEVICES"] == "0" else "H100"


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def leave() -> None:
    sys.exit(0)


def hang() -> None:
    time.sleep(3600)


def doze() -> None:
    time.sleep(1.5)


def fail() -> None:
    raise RuntimeError("a fault of the runner")


def refuse() -> None:
    raise NoReference("no reference for this: MemoryError: too large")


def objective(config: dict[str, Any]) -> None:
    """A user's own function trainable."""
    tune.report({"gflops": 1.0 + config["indices"][0] % 1000})


class SmallDisk(Recorder):
    """A recorder whose disk is full after 10 kB."""

    def open(self, path: str) -> None:
        super().open(path)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))


cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not have the tests on their path
