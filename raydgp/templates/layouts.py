"""Layouts of channel-blocked arrays, in numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def pack_channels(data: Array, block: int) -> Array:
    """[n, c, h, w] -> [n, c / block, h, w, block]."""
    n, c, h, w = data.shape
    return np.ascontiguousarray(data.reshape(n, c // block, block, h, w).transpose(0, 1, 3, 4, 2))


def unpack_channels(data: Array, channels: int) -> Array:
    """[n, c / block, h, w, block] -> [n, channels, h, w]; what fills the last block is dropped."""
    n, outer, h, w, block = data.shape
    return np.ascontiguousarray(data.transpose(0, 1, 4, 2, 3).reshape(n, outer * block, h, w)[:, :channels])


def pack_weight(weight: Array, outer_co: int, block_co: int, block_ci: int) -> Array:
    """[co, ci, kh, kw] -> [outer_co, ci / block_ci, kh, kw, block_ci, block_co], zeros where there is no channel."""
    _, ci, kh, kw = weight.shape
    whole = fill(weight, outer_co * block_co)
    blocks = whole.reshape(outer_co, block_co, ci // block_ci, block_ci, kh, kw)
    return np.ascontiguousarray(blocks.transpose(0, 2, 4, 5, 3, 1))


def fill(array: Array, extent: int) -> Array:
    """The array with zeros appended along its first axis, up to an extent."""
    return np.pad(array, [(0, extent - len(array))] + [(0, 0)] * (array.ndim - 1))
