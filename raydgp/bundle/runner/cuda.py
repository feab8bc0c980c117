"""Cubins launched by the driver, and timed by its events."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from ctypes import byref, c_uint64, c_void_p
from functools import partial
from itertools import cycle, islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from raydgp.bundle.runner.cuda_graph import enqueue, recorded
from raydgp.bundle.runner.driver import Driver
from raydgp.bundle.runner.launcher import NAN_BYTE, Array, DeviceFault, Launcher
from raydgp.bundle.runner.nvml import Nvml

R = TypeVar("R", "Memory", "Pinned")

_ALIGNMENT = 256  # of each copy, as that of the driver's own allocations
_FIRST_CALLS = 3  # until clocks have risen
_TRIAL_S = 1e-3  # that the calls last by which a repeat's number of calls is found
_LEAST_S = 1e-7  # of a call: two events may have the same time
_SHORT_S = 50e-6  # of a call, and a launch from Python may be what takes the time
_CALLS_A_GRAPH = 32
_SHARE = 0.5  # of the free memory, that arguments of earlier kernels may keep


class CudaLauncher(Launcher):
    """The first GPU that this process may see.

    Args:
        arch: that the cubins are for, such as `sm_90`.

    Raises:
        DeviceFault: there is none, or it is of another architecture.
    """

    def __init__(self, arch: str) -> None:
        self.driver = Driver()
        here = self.driver.architecture
        if here != arch.rstrip("af"):
            raise DeviceFault(f"the bundle is for a GPU of {arch}, and here is one of {here}")
        self._nvml: Nvml | None = None
        with suppress(OSError):
            self._nvml = Nvml(self.driver.bus)
        version = self._nvml.driver() if self._nvml else f"CUDA {self.driver.version}"
        self.device = {"kind": "cuda", "name": self.driver.name, "driver": version, "arch": arch}
        self.cache_bytes = self.driver.l2_bytes
        self.room_bytes = int(_SHARE * self.driver.free_bytes)
        self.stream, self.events = self.driver.stream(), (self.driver.event(), self.driver.event())
        self._rooms: dict[Any, Any] = {}

    def room(self, kind: type[R], name: Any, size: int) -> R:
        """Memory of at least a size, the same for all kernels, so that few of them wait for an allocation."""
        if name not in self._rooms or self._rooms[name].nbytes < size:
            if name in self._rooms:
                self._rooms.pop(name).free()
            self._rooms[name] = kind(self.driver, size)
        found: R = self._rooms[name]
        return found

    def upload(self, array: Array, copies: int) -> Memory:
        memory = Memory(self.driver, array.nbytes, copies)
        self.driver.call("cuMemcpyHtoD_v2", memory.address, array.ctypes.data, array.nbytes)
        memory.spread()
        return memory

    def load(self, code: bytes, kernel: Mapping[str, Any], inputs: Sequence[Any]) -> CudaKernel:
        return CudaKernel(self, code, kernel, inputs)

    def conditions(self) -> dict[str, float]:
        return self._nvml.conditions() if self._nvml else {}


class Memory:
    """Copies of an array on the device, one behind the other.

    Attributes:
        addresses: of the copies.
        nbytes: of all of them.
    """

    def __init__(self, driver: Driver, size: int, copies: int = 1) -> None:
        self._driver, self._stride = driver, -(-size // _ALIGNMENT) * _ALIGNMENT
        self.nbytes = self._stride * copies
        pointer = c_uint64()
        driver.call("cuMemAlloc_v2", byref(pointer), self.nbytes)
        self.address = pointer.value
        self.addresses = [self.address + i * self._stride for i in range(copies)]

    def spread(self) -> None:
        """Copies the first one over all others, twice as much each time."""
        done = self._stride
        while done < self.nbytes:
            size = min(done, self.nbytes - done)
            self._driver.call("cuMemcpyDtoD_v2", self.address + done, self.address, size)
            done += size

    def free(self) -> None:
        self._driver.call("cuMemFree_v2", self.address)


class Pinned:
    """Memory of the host that the device writes to at full speed."""

    def __init__(self, driver: Driver, size: int) -> None:
        self._driver, self.nbytes, address = driver, size, c_void_p()
        driver.call("cuMemHostAlloc", byref(address), size, 0)
        assert address.value
        self.address = address.value

    def free(self) -> None:
        self._driver.call("cuMemFreeHost", self.address)


class CudaKernel:
    """The launches of one configuration."""

    def __init__(
        self, launcher: CudaLauncher, code: bytes, kernel: Mapping[str, Any], inputs: Sequence[Memory]
    ) -> None:
        self._driver, self._stream, self._events = launcher.driver, launcher.stream, launcher.events
        self._shape, self._dtype = tuple(kernel["out_shape"]), np.dtype(kernel["out_dtype"])
        self._size = math.prod(self._shape) * self._dtype.itemsize
        self._out = launcher.room(Memory, "output", self._size).address
        between = [launcher.room(Memory, i, size).address for i, size in enumerate(kernel["workspaces"])]
        self._host = launcher.room(Pinned, "host", self._size).address
        self._module = self._driver.module(code)
        copies = max((len(memory.addresses) for memory in inputs), default=1)
        values = np.empty((copies, len(inputs) + 1 + len(between)), np.uint64)
        for column, memory in enumerate(inputs):
            values[:, column] = memory.addresses
        values[:, len(inputs) :] = [self._out, *between]
        self._calls, self._kept = prepared(self._driver, self._module, kernel["launches"], values, self._stream)

    def clear(self) -> None:
        self._driver.call("cuMemsetD8_v2", self._out, NAN_BYTE, self._size)

    def call(self) -> None:
        enqueue(self._driver, self._calls[:1])
        self._driver.call("cuCtxSynchronize")

    def output(self) -> Array:
        self._driver.call("cuMemcpyDtoH_v2", self._host, self._out, self._size)
        raw = (ctypes.c_ubyte * self._size).from_address(self._host)
        return np.frombuffer(raw, self._dtype).reshape(self._shape)

    def times_s(self, caches: str, measure: Mapping[str, Any]) -> list[float]:
        """By one event before the calls of a repeat and one behind them; the host waits for none of the calls.

        Short kernels are replayed as a graph.
        """
        calls = self._calls if caches == "rotated" else self._calls[:1]
        turn = cycle(calls)

        def launch(number: int) -> None:
            enqueue(self._driver, islice(turn, number))

        self._seconds(launch, _FIRST_CALLS)
        trial = max(1, math.ceil(_TRIAL_S / max(_LEAST_S, self._seconds(launch, 1))))
        per_call = max(_LEAST_S, self._seconds(launch, trial) / trial)
        several = calls * -(-_CALLS_A_GRAPH // len(calls))
        graph = recorded(self._driver, self._stream, several) if per_call < _SHORT_S else None
        if graph is None:
            return self._repeated(launch, 1, per_call, measure)
        self._seconds(graph.launch, 1)
        times_s = self._repeated(graph.launch, graph.calls, self._seconds(graph.launch, 1) / graph.calls, measure)
        graph.close()
        return times_s

    def close(self) -> None:
        self._driver.call("cuModuleUnload", self._module)

    def _repeated(
        self, launch: Callable[[int], None], calls: int, per_call: float, measure: Mapping[str, Any]
    ) -> list[float]:
        """Seconds a call of every repeat.

        Args:
            launch: enqueues so many times `calls` calls.
            per_call: about how many seconds one takes.
        """
        wanted = max(measure["number"], math.ceil(1e-3 * measure["min_repeat_ms"] / max(_LEAST_S, per_call)))
        number = -(-wanted // calls)
        return [self._seconds(launch, number) / (number * calls) for _ in range(measure["repeat"])]

    def _seconds(self, launch: Callable[[int], None], number: int) -> float:
        begin, end = self._events
        self._driver.call("cuEventRecord", begin, self._stream)
        launch(number)
        self._driver.call("cuEventRecord", end, self._stream)
        self._driver.call("cuEventSynchronize", end)
        return self._driver.elapsed_s(begin, end)


def prepared(
    driver: Driver,
    module: c_void_p,
    launches: Sequence[Mapping[str, Any]],
    values: NDArray[np.uint64],
    stream: c_void_p,
) -> tuple[list[list[Callable[[], int]]], list[Array]]:
    """For each row of arguments the launches of one call, and what must be kept as long as they are.

    An argument is given by the address of its value. All addresses are made at once, as rows are many.

    Args:
        values: addresses of the kernel's buffers, one set of them a row.
    """
    at = values.ctypes.data + values.itemsize * np.arange(values.size, dtype=np.uint64).reshape(values.shape)
    kept: list[Array] = [values]
    turns = []
    for launch in launches:
        function = c_void_p()
        driver.call("cuModuleGetFunction", byref(function), module, launch["kernel"].encode())
        extents = [int(extent) for extent in (*launch["grid"], *launch["block"])]
        pointers = np.ascontiguousarray(at[:, launch["arguments"]])
        kept.append(pointers)
        rows = (pointers.ctypes.data + pointers.strides[0] * row for row in range(len(values)))
        # No dynamic shared memory
        turns.append([partial(driver.launch, function, *extents, 0, stream, row, None) for row in rows])
    return [list(call) for call in zip(*turns, strict=True)], kept
