"""What the two ways to run a kernel have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
NAN_BYTE = 0xFF  # of every byte: NaN in float32 and float16
MOST_COPIES = 1024  # of the inputs of a small kernel


class DeviceFault(Exception):
    """The device, or what drives it, refuses; the message is one line."""


class Buffers(Protocol):
    """Copies of one argument where kernels read them."""

    nbytes: int

    def free(self) -> None: ...


class Loaded(Protocol):
    """A kernel with its arguments."""

    def clear(self) -> None:
        """Fills the output with NaN."""

    def call(self) -> None:
        """Runs it once, to its end."""

    def output(self) -> Array:
        """The output, until the next call of any method."""

    def times_s(self, caches: str, measure: Mapping[str, Any]) -> list[float]:
        """Seconds a call of every repeat.

        Args:
            caches: `warm`: always the same arguments; `rotated`: the copies of the inputs in turn.
            measure: `number`, `repeat` and `min_repeat_ms` as in `raydgp.settings.MeasureSettings`.
        """

    def close(self) -> None:
        """Unloads it."""


class Launcher(ABC):
    """Runs the kernels of one kind on this process's device.

    Attributes:
        device: what a record says of it.
        cache_bytes: of its last cache.
        room_bytes: that arguments of earlier kernels may keep.
    """

    device: dict[str, Any]
    cache_bytes: int
    room_bytes: int

    @abstractmethod
    def upload(self, array: Array, copies: int) -> Buffers:
        """Puts an argument where kernels can read it."""

    @abstractmethod
    def load(self, code: bytes, kernel: Mapping[str, Any], inputs: Sequence[Any]) -> Loaded:
        """Loads a kernel.

        Args:
            kernel: a line of the bundle.
            inputs: what `upload` gave, for each input.
        """

    def conditions(self) -> dict[str, float]:
        """Clocks, temperature and power of this moment, where they can be read."""
        return {}

    def copies(self, nbytes: int) -> int:
        """How many copies of inputs of this size together leave the last cache: a power of two."""
        wanted = -(-2 * self.cache_bytes // max(1, nbytes))
        return min(MOST_COPIES, 1 << max(1, (wanted - 1).bit_length()))


def aligned(shape: Sequence[int], dtype: Any) -> Array:
    """An array that begins a cache line, as TVM's kernels expect; its content is undefined."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    room = np.empty(size + 64, np.uint8)
    begin = -room.ctypes.data % 64
    return room[begin : begin + size].view(dtype).reshape(tuple(shape))
