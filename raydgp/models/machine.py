"""TVM's virtual machine with a compiled model, on this machine's CPU or first GPU."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax

from raydgp.errors import InputError
from raydgp.targets import kind_named

Array = NDArray[Any]


@dataclass(frozen=True)
class Step:
    """A call that the virtual machine makes as it runs a model.

    Attributes:
        name: of the function.
        seconds: that it took.
        moved: bytes of the arrays that it reads and writes.
    """

    name: str
    seconds: float
    moved: int


def device_of(kind: str) -> tvm.runtime.Device:
    """The device here of a kind of target.

    Raises:
        InputError: there is none.
    """
    behaviour = kind_named(kind)
    device = tvm.device(behaviour.tvm_device)
    if not device.exist:
        raise InputError(f"the model is for {behaviour.description}, and there is none here with its driver")
    return device


class Machine:
    """A compiled model on this machine's CPU or first GPU.

    Args:
        library: what TVM compiled or loaded.
        kind: name of the kind of target.

    Raises:
        InputError: there is no GPU.
    """

    def __init__(self, library: Any, kind: str) -> None:
        self._device = device_of(kind)
        self._virtual = relax.VirtualMachine(library, self._device)
        self._functions: dict[str, Any] = {}

    def tensors(self, arrays: Sequence[Array]) -> list[Any]:
        """Arrays on the device."""
        return [tvm.runtime.tensor(np.asarray(array, order="C"), self._device) for array in arrays]

    def call(self, arguments: Sequence[Any], function: str = "main") -> Any:
        """Runs the model, or another of its functions, to its end on what `tensors` gave."""
        out = self._function(function)(*arguments)
        self._device.sync()
        return out

    def _function(self, name: str) -> Any:
        if name not in self._functions:
            self._functions[name] = self._virtual[name]
        return self._functions[name]

    def timed(self, arguments: Sequence[Any], function: str = "main") -> list[Step]:
        """What one call of the model calls, in order, each run to its end before the next begins."""
        steps: list[Step] = []
        began = 0.0

        def instrument(_: Any, name: str, before: bool, __: Any, *given: Any) -> int:
            nonlocal began
            self._device.sync()
            if not before:
                taken = time.perf_counter() - began
                steps.append(Step(name, taken, _bytes(given)))
            began = time.perf_counter()
            return 0  # go on

        self._virtual.set_instrument(instrument)
        try:
            self.call(arguments, function)
        finally:
            self._virtual.set_instrument(lambda *_: 0)
        return steps


def _bytes(arguments: Sequence[Any]) -> int:
    tensors = [argument for argument in arguments if isinstance(argument, tvm.runtime.Tensor)]
    return sum(prod(tensor.shape) * np.dtype(str(tensor.dtype)).itemsize for tensor in tensors)


def arrays(out: Any) -> tuple[Array, ...]:
    """A virtual machine's result as numpy arrays, flat."""
    if isinstance(out, tvm.runtime.Tensor):
        return (out.numpy(),)
    return tuple(array for part in out for array in arrays(part))
