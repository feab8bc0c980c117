"""A whole model on this machine's processors, timed by the host's clock."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from raydgp.bundle.runner.launcher import NAN_BYTE, Array, aligned
from raydgp.bundle.runner.llvm import LlvmLauncher, loaded
from raydgp.bundle.runner.sequence import Line
from raydgp.bundle.runner.tvm_abi import Arguments, tensor


class LlvmModel:
    """A model in memory.

    Args:
        kernels: machine code of each, and what else the bundle says of it.
    """

    def __init__(self, launcher: LlvmLauncher, line: Line, kernels: Sequence[tuple[bytes, Mapping[str, Any]]]) -> None:
        buffers = [aligned((size,), np.uint8) for size in line.buffers]
        for buffer in buffers:
            buffer.fill(NAN_BYTE)

        def view(value: int) -> Array:
            (buffer, offset), size = line.place(value), line.nbytes(value)
            return buffers[buffer][offset : offset + size].view(line.dtype(value)).reshape(line.shape(value))

        self.conditions: dict[str, float] = {}
        self._libraries = [loaded(launcher, code) for code, _ in kernels]  # unloaded with the last reference to them
        self._views = {value: view(value) for _, arguments, _ in line.steps for value in arguments}
        for value, array in line.given():
            self._views.setdefault(value, view(value))[...] = array
        for value in line.outputs:
            self._views.setdefault(value, view(value))
        tensors = {value: tensor(array) for value, array in self._views.items()}
        self._calls: list[Callable[[], Any]] = []
        for kernel, arguments, _ in line.steps:
            _, main = self._libraries[kernel]
            given = Arguments([tensors[value] for value in arguments])
            self._calls.append(partial(launcher.tvm.call_with, main, given))

    def run(self, step: int) -> None:
        self._calls[step]()

    def read(self, value: int) -> Array:
        return self._views[value]

    def times_s(self, measure: Mapping[str, Any]) -> tuple[int, list[float]]:
        number = max(measure["number"], math.ceil(1e-3 * measure["min_repeat_ms"] / self._seconds(2)))
        return number, [self._seconds(number) for _ in range(measure["repeat"])]

    def step_times_s(self, calls: int) -> list[list[float]]:
        times = np.empty((calls, len(self._calls) + 1))
        for row in times:
            row[0] = time.perf_counter()
            for place, call in enumerate(self._calls, 1):
                call()
                row[place] = time.perf_counter()
        found: list[list[float]] = np.diff(times, axis=1).T.tolist()
        return found

    def close(self) -> None:
        """Nothing to do: the memory is freed with the last reference to it."""

    def _seconds(self, number: int) -> float:
        began = time.perf_counter()
        for _ in range(number):
            for call in self._calls:
                call()
        return (time.perf_counter() - began) / number
