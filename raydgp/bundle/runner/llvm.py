"""Libraries of CPU kernels called through TVM's runtime, and timed by its clock."""

from __future__ import annotations

import math
import os
import signal
import struct
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np

from raydgp.bundle.runner.launcher import Array, DeviceFault, Launcher, aligned
from raydgp.bundle.runner.tvm_abi import Arguments, Object, Tensor, Tvm, tensor
from raydgp.sandbox.cpus import cache_bytes, cpu_name, own_cores

_ONE_PROCESSOR_A_THREAD = -2  # tvm::runtime::threading::ThreadGroup::kSpecifyOneCorePerThread
_CPU = 1  # kDLCPU
_LARGEST_CACHE_BYTES = 1 << 26  # that copies are made for: those of servers would need a gigabyte of them
_ROOM_BYTES = 1 << 30


class LlvmLauncher(Launcher):
    """This machine's processors.

    Args:
        libraries: TVM's runtime, by file name.
        threads: of a kernel, each pinned to a core.

    Raises:
        DeviceFault: the runtime cannot be used here.
    """

    def __init__(self, libraries: Mapping[str, bytes], threads: int) -> None:
        self.tvm = Tvm(libraries)
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)  # TVM's own handler takes a second to tell what nobody reads
        self.load_library = self.tvm.function("ffi.Module.load_from_file.so")
        self.get_function = self.tvm.function("ffi.ModuleGetFunction")
        self.evaluator = self.tvm.function("runtime.RPCTimeEvaluator")
        cores = own_cores()
        self.device = {"kind": "llvm", "name": cpu_name(), "cores": len(cores), "threads": threads}
        names = self.tvm.call(self.tvm.function("ffi.Array"), *(str(cpu).encode() for cpu in cores[:threads]))
        self.tvm.call(self.tvm.function("runtime.config_threadpool"), _ONE_PROCESSOR_A_THREAD, threads, names)
        os.sched_setaffinity(0, cores[:1])
        self.cache_bytes, self.room_bytes = min(_LARGEST_CACHE_BYTES, max(cache_bytes(), default=1 << 25)), _ROOM_BYTES
        self._outputs: dict[tuple[Any, ...], Array] = {}

    def upload(self, array: Array, copies: int) -> Copies:
        return Copies(array, copies)

    def load(self, code: bytes, kernel: Mapping[str, Any], inputs: Sequence[Any]) -> LlvmKernel:
        key = (*kernel["out_shape"], kernel["out_dtype"])
        if key not in self._outputs:
            self._outputs[key] = aligned(kernel["out_shape"], kernel["out_dtype"])
        return LlvmKernel(self, code, inputs, self._outputs[key])


class Copies:
    """Copies of an array in memory."""

    def __init__(self, array: Array, copies: int) -> None:
        self.arrays = [aligned(array.shape, array.dtype) for _ in range(copies)]
        for each in self.arrays:
            each[...] = array
        self.tensors = [tensor(each) for each in self.arrays]
        self.nbytes = copies * array.nbytes

    def free(self) -> None:
        """Nothing to do: the memory is freed with the last reference to it."""


class LlvmKernel:
    """A loaded library with its arguments."""

    def __init__(self, launcher: LlvmLauncher, code: bytes, inputs: Sequence[Copies], out: Array) -> None:
        self._tvm, self._evaluator, self._out = launcher.tvm, launcher.evaluator, out
        self._module, main = loaded(launcher, code)
        self._call = partial(self._tvm.call_with, main)
        self._result = tensor(out)
        self._calls = [Arguments([*each, self._result]) for each in _in_step(inputs)]

    def clear(self) -> None:
        self._out.fill(np.nan)

    def call(self) -> None:
        self._call(self._calls[0])

    def output(self) -> Array:
        return self._out

    def times_s(self, caches: str, measure: Mapping[str, Any]) -> list[float]:
        """By TVM's evaluator, as `raydgp.run.timing` does; in turns by calls from here, as that does within a model."""
        if caches == "warm":
            number, repeat, least_ms = measure["number"], measure["repeat"], measure["min_repeat_ms"]
            # Behind them: repeats while the time is 0, pauses (none), bytes flushed (none), a function before
            clock = (_CPU, 0, number, repeat, least_ms, 100, 0, 1, 0, b"")
            evaluate = self._tvm.call(self._evaluator, self._module, b"main", *clock)
            return list(struct.unpack(f"@{repeat}d", self._tvm.call_with(evaluate, self._calls[0])))
        turn = cycle(self._calls)

        def seconds(number: int) -> float:
            began = time.perf_counter()
            for _ in range(number):
                self._call(next(turn))
            return (time.perf_counter() - began) / number

        number = max(measure["number"], math.ceil(1e-3 * measure["min_repeat_ms"] / seconds(2)))
        return [seconds(number) for _ in range(measure["repeat"])]

    def close(self) -> None:
        del self._call, self._calls, self._module  # unloaded with the last reference to it


def loaded(launcher: LlvmLauncher, code: bytes) -> tuple[Object, Object]:
    """A library, and its function `main`.

    Raises:
        DeviceFault: it cannot be loaded, or has no such function.
    """
    # A new name: dlopen gives an old library for an old one
    with tempfile.NamedTemporaryFile(suffix=".so") as file:
        file.write(code)
        file.flush()
        module: Object = launcher.tvm.call(launcher.load_library, file.name.encode(), b"so")
    main: Object | None = launcher.tvm.call(launcher.get_function, module, b"main", 0)
    if main is None:
        raise DeviceFault("the library has no function main")
    return module, main


def _in_step(inputs: Sequence[Copies]) -> list[tuple[Tensor, ...]]:
    """The first copy of each input, the second of each, ..."""
    return list(zip(*(each.tensors for each in inputs), strict=True))
