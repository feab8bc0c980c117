"""Builds on all processors of this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Self

from raydgp.run.builder import Builder, Built
from raydgp.run.hopeless import BuildTimes
from raydgp.sandbox.cpus import own_cpus
from raydgp.space import ConfigSpace
from raydgp.targets import Target

Wanted = tuple[ConfigSpace, int]


class Builders:
    """Several compiling children. Not for use by two threads at a time.

    Args:
        workers: builds at a time; one for each processor by default.
        stop_hopeless: whether builds that take much longer than those of their space are ended.
    """

    def __init__(self, workers: int | None = None, stop_hopeless: bool = False) -> None:
        self._times = BuildTimes() if stop_hopeless else None
        self._builders = [Builder() for _ in range(workers or len(own_cpus()))]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def build(
        self, wanted: Sequence[Wanted], target: Target, timeout_s: float, part: str = "build"
    ) -> Iterator[tuple[Built, float]]:
        """Each build with the monotonic time of its end, in the order of `wanted`.

        Builds run ahead of the iteration. Those that run are ended, not awaited, where it ends before them.

        Args:
            timeout_s: of one build.
            part: as of `Builder.build`.

        Raises:
            RaydgpError: no child can be started here; says nothing about the configurations.
        """
        idle: SimpleQueue[Builder] = SimpleQueue()
        for builder in self._builders:
            idle.put(builder)

        def build(one: Wanted) -> tuple[Built, float]:
            builder = idle.get()
            try:
                limit_s = self._times.limit_s(one[0].hash, timeout_s) if self._times else timeout_s
                built = builder.build(*one, target, limit_s, part)
                if self._times:
                    self._times.add(one[0].hash, built)
                return built, time.monotonic()
            finally:
                idle.put(builder)

        with ThreadPoolExecutor(len(self._builders)) as pool:
            try:
                yield from pool.map(build, wanted)
            except BaseException:  # Ctrl-C, say
                pool.shutdown(wait=False, cancel_futures=True)
                self.close()
                raise

    def close(self) -> None:
        """Ends the children; may be called twice."""
        for builder in self._builders:
            builder.close()
