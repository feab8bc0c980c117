"""Inputs and weights that any numpy makes anew, so that no bundle need hold them.

The runner takes this module with it: it imports nothing but numpy, and what does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raydgp.templates.layouts import Array

_MODELS = 1 << 32  # before the keys of models' arrays
_PIECE = 1 << 20


def logical_input(number: int, shape: Sequence[int]) -> Array:
    """The logical input of argument `number` of any task: float32 in [-1, 1), multiples of 2^-23.

    The upper 24 bits of what NumPy's Philox gives with this number as its key. The streams of its bit generators stay
    as they are, by NumPy's own promise (NEP 19), which those of its distributions do not.
    """
    return _uniform(number, prod(shape)).reshape(shape)


def seeded(number: int, shape: Sequence[int], dtype: str, mean: float, std: float) -> NDArray[Any]:
    """An array of a model, uniform around a mean with a standard deviation; another one for each number.

    Args:
        dtype: a type of floats.
    """
    flat = _uniform(_MODELS + number, prod(shape))
    flat *= np.float32(std * 3**0.5)
    flat += np.float32(mean)
    return flat.reshape(shape).astype(dtype, copy=False)


def _uniform(key: int, size: int) -> Array:
    """Piece by piece: the bits alone of a large layer's weights would take a gigabyte."""
    bits, out = np.random.Philox(key=key), np.empty(size, np.float32)
    for start in range(0, size, _PIECE):
        raw = bits.random_raw(min(_PIECE, size - start))
        out[start : start + _PIECE] = (raw >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)
    return out


def logical_inputs(shapes: Sequence[Sequence[int]]) -> tuple[Array, ...]:
    """The logical inputs of a task."""
    return tuple(logical_input(number, shape) for number, shape in enumerate(shapes))
