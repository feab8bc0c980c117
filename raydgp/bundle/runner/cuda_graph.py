"""Launches, given to the device one by one or recorded once and replayed by it as a graph.

A launch from Python takes some microseconds, and a small kernel may run for less: the device would wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from ctypes import byref, c_void_p

from raydgp.bundle.runner.driver import Driver
from raydgp.bundle.runner.launcher import DeviceFault

Call = Sequence[Callable[[], int]]  # the launches of one call, as `raydgp.bundle.runner.cuda.prepared` gives them

_RELAXED = 2  # CU_STREAM_CAPTURE_MODE_RELAXED: other threads may do what they like meanwhile


def enqueue(driver: Driver, calls: Iterable[Call]) -> None:
    """Launches one by one, waiting for nothing."""
    for launches in calls:
        for launch in launches:
            if code := launch():
                driver.check(code, "cuLaunchKernel")


def recorded(driver: Driver, stream: c_void_p, calls: Sequence[Call]) -> Graph | None:
    """The calls as a graph; None where the driver refuses to make one."""
    with suppress(DeviceFault):
        return Graph(driver, stream, calls)
    return None


class Graph:
    """Calls that the device makes one after the other (CUDA Driver API, "Graph Management").

    Args:
        stream: that the calls launch on; nothing runs on it meanwhile.

    Attributes:
        calls: how many.

    Raises:
        DeviceFault: the driver cannot record them.
    """

    def __init__(self, driver: Driver, stream: c_void_p, calls: Sequence[Call]) -> None:
        self._driver, self._stream, self.calls = driver, stream, len(calls)
        graph, self._ready = c_void_p(), c_void_p()
        driver.call("cuStreamBeginCapture_v2", stream, _RELAXED)
        try:
            enqueue(driver, calls)
        finally:
            driver.call("cuStreamEndCapture", stream, byref(graph))
        driver.call("cuGraphInstantiateWithFlags", byref(self._ready), graph, 0)
        driver.call("cuGraphDestroy", graph)

    def launch(self, times: int = 1) -> None:
        """Enqueues all of its calls, so many times."""
        for _ in range(times):
            self._driver.call("cuGraphLaunch", self._ready, self._stream)

    def close(self) -> None:
        self._driver.call("cuGraphExecDestroy", self._ready)
