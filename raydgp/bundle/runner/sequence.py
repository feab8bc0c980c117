"""A whole model as the runner reads it (`raydgp.bundle.models` says what it is), and what its steps must write."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from raydgp.bundle.inputs import seeded
from raydgp.bundle.runner.launcher import Array
from raydgp.bundle.runner.right import excess

_POSITIONS = 1024  # of each step's outputs that are checked; the kernels themselves are checked as a whole, alone


def positions(size: int) -> NDArray[np.int64]:
    """Where an output of so many elements is checked: evenly spread."""
    count = min(size, _POSITIONS)
    return np.arange(count, dtype=np.int64) * size // count


class Line:
    """A model's steps.

    Args:
        content: a `raydgp.bundle.models.Sequence`.
        arrays, expected: its members.

    Attributes:
        buffers: bytes of each.
        steps: kernel, arguments and number of outputs of each.
        outputs: numbers of the values that it gives.
    """

    def __init__(self, content: Mapping[str, Any], arrays: bytes, expected: bytes) -> None:
        self.buffers: list[int] = content["buffers"]
        self.steps = [(step["kernel"], step["arguments"], step["outputs"]) for step in content["steps"]]
        self.outputs: list[int] = content["outputs"]
        self._values, self._given, self._arrays = content["values"], content["given"], arrays
        self._names = [kernel["name"] for kernel in content["kernels"]]
        self._expected: dict[tuple[int, int], Array] = {}
        samples, at = np.frombuffer(expected, "<f4"), 0
        for step in range(len(self.steps)):
            for value in self.written(step):
                count = len(positions(math.prod(self.shape(value))))
                self._expected[step, value] = samples[at : at + count]
                at += count

    def shape(self, value: int) -> tuple[int, ...]:
        return tuple(self._values[value]["shape"])

    def dtype(self, value: int) -> np.dtype[Any]:
        return np.dtype(self._values[value]["dtype"])

    def nbytes(self, value: int) -> int:
        return math.prod(self.shape(value)) * self.dtype(value).itemsize

    def place(self, value: int) -> tuple[int, int]:
        """Buffer of a value, and bytes before it there."""
        found = self._values[value]
        return found["buffer"], found["offset"]

    def written(self, step: int) -> list[int]:
        """Values that a step writes."""
        _, arguments, outputs = self.steps[step]
        return list(arguments[len(arguments) - outputs :])

    def given(self) -> Iterator[tuple[int, Array]]:
        """The values that are there before the first step, with what they hold."""
        for number, given in enumerate(self._given):
            value, at = given["value"], given["at"]
            shape, dtype = self.shape(value), self.dtype(value)
            if at is None:
                yield value, seeded(number, shape, dtype.name, given["mean"], given["std"])
            else:
                stored = np.frombuffer(self._arrays, dtype.newbyteorder("<"), math.prod(shape), at)
                yield value, stored.reshape(shape)

    def fault(self, step: int, value: int, output: Array, tolerance: float) -> str:
        """What is wrong with an output of a step, in one line; empty when nothing is that can be seen."""
        wanted = self._expected[step, value]
        found = output.ravel()[positions(output.size)].astype(np.float32)
        finite = np.isfinite(wanted)  # a mask may well be infinite
        scale = float(np.abs(wanted, where=finite, out=np.zeros_like(wanted)).max(initial=0.0))
        if not np.array_equal(found[~finite], wanted[~finite], equal_nan=True):
            error = "infinite where it must not be, or not where it must be"
        elif not np.isfinite(found[finite]).all():
            error = "its output has elements that are NaN or infinite"
        else:
            error = excess(float(np.abs(found[finite] - wanted[finite]).max(initial=0.0)), scale, tolerance)
        return f"step {step}, {self._names[self.steps[step][0]]}: {error}" if error else ""


class LoadedModel(Protocol):
    """A model on a device.

    Attributes:
        conditions: of its last timing, as a record has them: on a GPU `graph`, 1 where it was replayed as a CUDA graph,
            0 where its kernels were launched one by one.
    """

    conditions: dict[str, float]

    def run(self, step: int) -> None:
        """Runs a step to its end."""

    def read(self, value: int) -> Array:
        """What a value holds now."""

    def times_s(self, measure: Mapping[str, Any]) -> tuple[int, list[float]]:
        """How many calls of the whole were timed together, and seconds a call of every repeat."""

    def step_times_s(self, calls: int) -> list[list[float]]:
        """Seconds of each step, of every call."""

    def close(self) -> None:
        """Gives its memory back."""


def changed(before: Sequence[Array], after: Sequence[Array], tolerance: float) -> str:
    """How a model's outputs differ from those of its first call, in one line; empty where they do not."""
    for old, new in zip(before, after, strict=True):
        if np.array_equal(old.reshape(-1).view(np.uint8), new.reshape(-1).view(np.uint8)):
            continue
        scale = float(np.abs(old.astype(np.float64)).max())
        error = float(np.abs(old.astype(np.float64) - new).max())
        if not error <= tolerance * scale:  # also where it is NaN
            return f"after the timing: relative error {error / scale if scale else math.inf:.2g}"
    return ""
