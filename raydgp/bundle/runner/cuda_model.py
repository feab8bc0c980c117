"""A whole model on a GPU: its kernels' launches on one stream or as one graph, timed by events."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping, Sequence
from ctypes import c_void_p
from typing import Any

import numpy as np

from raydgp.bundle.runner.cuda import CudaLauncher, Memory, prepared
from raydgp.bundle.runner.cuda_graph import enqueue, recorded
from raydgp.bundle.runner.launcher import NAN_BYTE, Array
from raydgp.bundle.runner.sequence import Line

_FIRST_CALLS = 3  # until clocks have risen
_AHEAD = 2  # calls before one whose steps are timed: the device is busy with them until all of it is enqueued


class CudaModel:
    """A model in the device's memory.

    Args:
        kernels: machine code of each, and what else the bundle says of it.

    Raises:
        DeviceFault: a kernel cannot be loaded.
        MemoryError: there is no room for it.
    """

    def __init__(self, launcher: CudaLauncher, line: Line, kernels: Sequence[tuple[bytes, Mapping[str, Any]]]) -> None:
        self._driver, self._line = launcher.driver, line
        self._stream, self._events = launcher.stream, launcher.events
        self._buffers: list[Memory] = []
        self._modules: list[c_void_p] = []
        self._kept: list[Array] = []  # what launches point to
        for size in line.buffers:
            self._buffers.append(Memory(self._driver, max(1, size)))
            self._driver.call("cuMemsetD8_v2", self._buffers[-1].address, NAN_BYTE, max(1, size))
        for value, array in line.given():
            packed = np.ascontiguousarray(array)
            self._driver.call("cuMemcpyHtoD_v2", self._address(value), packed.ctypes.data, packed.nbytes)
        for code, _ in kernels:
            self._modules.append(self._driver.module(code))
        for _, kernel in kernels:
            self._between(launcher, kernel)  # each as large as the largest kernel wants it, before any is pointed to
        self._steps = [self._step(launcher, step, kernels[step[0]][1]) for step in line.steps]
        self.conditions: dict[str, float] = {}
        self._marks = [self._driver.event() for _ in range(len(self._steps) + 1)]

    def run(self, step: int) -> None:
        enqueue(self._driver, [self._steps[step]])
        self._driver.call("cuCtxSynchronize")

    def read(self, value: int) -> Array:
        out = np.empty(self._line.shape(value), self._line.dtype(value))
        self._driver.call("cuMemcpyDtoH_v2", out.ctypes.data_as(ctypes.c_void_p), self._address(value), out.nbytes)
        return out

    def times_s(self, measure: Mapping[str, Any]) -> tuple[int, list[float]]:
        """By one event before the calls of a repeat and one behind them, none of which the host waits for."""
        graph = recorded(self._driver, self._stream, self._steps)
        self.conditions = {"graph": float(graph is not None)}
        launch = graph.launch if graph else self._launch
        self._seconds(launch, _FIRST_CALLS)
        per_call = max(1e-6, self._seconds(launch, 1))
        number = max(measure["number"], math.ceil(1e-3 * measure["min_repeat_ms"] / per_call))
        times_s = [self._seconds(launch, number) for _ in range(measure["repeat"])]
        if graph:
            graph.close()
        return number, times_s

    def step_times_s(self, calls: int) -> list[list[float]]:
        times = [[self._driver.elapsed_s(*pair) for pair in self._timed_steps()] for _ in range(calls)]
        return [list(each) for each in zip(*times, strict=True)]

    def close(self) -> None:
        for module in self._modules:
            self._driver.call("cuModuleUnload", module)
        for memory in self._buffers:
            memory.free()

    def _address(self, value: int) -> int:
        buffer, offset = self._line.place(value)
        return self._buffers[buffer].address + offset

    def _step(
        self, launcher: CudaLauncher, step: tuple[int, Sequence[int], int], kernel: Mapping[str, Any]
    ) -> list[Callable[[], int]]:
        number, arguments, _ = step
        values = np.array([[*map(self._address, arguments), *self._between(launcher, kernel)]], np.uint64)
        (calls,), kept = prepared(self._driver, self._modules[number], kernel["launches"], values, self._stream)
        self._kept += kept
        return calls

    @staticmethod
    def _between(launcher: CudaLauncher, kernel: Mapping[str, Any]) -> list[int]:
        """Workspaces of a kernel, which all kernels share."""
        return [launcher.room(Memory, i, size).address for i, size in enumerate(kernel["workspaces"])]

    def _launch(self, times: int) -> None:
        for _ in range(times):
            enqueue(self._driver, self._steps)

    def _seconds(self, launch: Callable[[int], None], number: int) -> float:
        begin, end = self._events
        self._driver.call("cuEventRecord", begin, self._stream)
        launch(number)
        self._driver.call("cuEventRecord", end, self._stream)
        self._driver.call("cuEventSynchronize", end)
        return self._driver.elapsed_s(begin, end) / number

    def _timed_steps(self) -> list[tuple[c_void_p, c_void_p]]:
        """Events around each step of one call, which have come."""
        self._launch(_AHEAD)
        self._driver.call("cuEventRecord", self._marks[0], self._stream)
        for step, mark in zip(self._steps, self._marks[1:], strict=True):
            enqueue(self._driver, [step])
            self._driver.call("cuEventRecord", mark, self._stream)
        self._driver.call("cuEventSynchronize", self._marks[-1])
        return list(zip(self._marks, self._marks[1:], strict=False))
