"""A straight line of kernels run here without a schedule: what the scheduled ones must give, step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from numpy.typing import NDArray
from tvm import tirx

from raydgp.bundle.runner.launcher import aligned
from raydgp.errors import InputError
from raydgp.models.straight_line import StraightLine
from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm

Array = NDArray[Any]

_NAN_BYTE = 0xFF  # of every byte: NaN in float32 and float16


class PlainRun:
    """A model's functions compiled for this machine's processor, as loops in their order.

    Raises:
        InputError: one of them is written for a GPU's threads.
    """

    def __init__(self, line: StraightLine) -> None:
        self._line = line
        functions = {
            name: function.with_attr("global_symbol", name)
            for var, function in line.module.functions_items()
            if isinstance(function, tirx.PrimFunc) and (name := var.name_hint) in line.functions
        }
        try:
            library = tvm.compile(tvm.IRModule(functions), target=to_tvm(Target.here("llvm"))).mod
        except Exception as error:  # TVM's errors share no narrower base
            said = next(iter(str(error).strip().splitlines()), "")
            raise InputError(f"its kernels do not run without a schedule, so nothing can check them: {said}") from None
        self._functions = [library[name] for name in line.functions]

    def __call__(self, given: Mapping[int, Array], seen: Callable[[int, Array], None] = lambda *_: None) -> list[Array]:
        """Runs the model.

        Args:
            given: its inputs and its weights, by the numbers of their values.
            seen: called after each step for each of its outputs, with the value's number and its array.

        Returns:
            The model's outputs.
        """
        line = self._line
        buffers = [aligned((size,), np.uint8) for size in line.buffers]
        for buffer in buffers:
            buffer.fill(_NAN_BYTE)
        arrays = []
        for value in line.values:
            size = int(np.prod(value.shape, dtype=np.int64)) * np.dtype(value.dtype).itemsize
            part = buffers[value.buffer][value.offset : value.offset + size]
            arrays.append(part.view(value.dtype).reshape(value.shape))
        for number, array in given.items():
            arrays[number][...] = array
        tensors = [tvm_ffi.from_dlpack(array) for array in arrays]
        for step in line.steps:
            self._functions[step.kernel](*(tensors[number] for number in step.arguments))
            for number in step.arguments[len(step.arguments) - step.outputs :]:
                seen(number, arrays[number])
        return [arrays[number].copy() for number in line.outputs]
