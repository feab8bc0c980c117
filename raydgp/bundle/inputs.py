"""Inputs that any numpy makes anew, so that no bundle need hold them.

The runner takes this module with it: it imports nothing but numpy, and what does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from raydgp.templates.layouts import Array


def logical_input(number: int, shape: Sequence[int]) -> Array:
    """The logical input of argument `number` of any task: float32 in [-1, 1), multiples of 2^-23.

    The upper 24 bits of what NumPy's Philox gives with this number as its key. The streams of its bit generators stay
    as they are, by NumPy's own promise (NEP 19), which those of its distributions do not.
    """
    raw = np.random.Philox(key=number).random_raw(prod(shape))
    return ((raw >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)).reshape(shape)


def logical_inputs(shapes: Sequence[Sequence[int]]) -> tuple[Array, ...]:
    """The logical inputs of a task."""
    return tuple(logical_input(number, shape) for number, shape in enumerate(shapes))
