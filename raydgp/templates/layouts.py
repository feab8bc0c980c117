"""Layouts as data: how an array of a logical layout becomes what a kernel reads, and its output a logical one again.

Data can go where raydgp cannot: a bundle carries layouts to machines that have numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Step = tuple[Any, ...]


@dataclass(frozen=True)
class Layout:
    """Steps that an array goes through from left to right; none where it stays as it is.

    Each step is its name and arguments, JSON-able. They are made by the methods of these names:

    * `pad`, [before, after] of every axis, in zeros;
    * `slice`, [first, behind the last] of every axis;
    * `reshape`, the shape;
    * `transpose`, the axes;
    * `astype`, NumPy's name of the type;
    * `einsum`, subscripts and two matrices: of the first one, the array and the second one. The sum is in float64, its
      result in float32.

    Padding by nothing and axes in their order are left out.
    """

    steps: tuple[Step, ...] = ()

    def pad(self, *extents: Sequence[int]) -> Layout:
        return self._then("pad", _pairs(extents)) if np.any(extents) else self

    def slice(self, *bounds: Sequence[int]) -> Layout:
        return self._then("slice", _pairs(bounds))

    def reshape(self, *shape: int) -> Layout:
        return self._then("reshape", tuple(map(int, shape)))

    def transpose(self, *axes: int) -> Layout:
        return self if axes == tuple(range(len(axes))) else self._then("transpose", axes)

    def astype(self, dtype: str) -> Layout:
        return self._then("astype", dtype)

    def einsum(self, subscripts: str, before: NDArray[np.float64], after: NDArray[np.float64]) -> Layout:
        matrices = (tuple(map(tuple, matrix.tolist())) for matrix in (before, after))
        return self._then("einsum", subscripts, *matrices)

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array after all steps, contiguous in memory; itself where it is so already."""
        for name, *arguments in self.steps:
            array = _STEPS[name](array, *arguments)
        return np.ascontiguousarray(array)

    def _then(self, *step: Any) -> Layout:
        return Layout((*self.steps, step))


_STEPS: dict[str, Any] = {
    "pad": np.pad,
    "slice": lambda array, bounds: array[tuple(slice(*bound) for bound in bounds)],
    "reshape": np.reshape,
    "transpose": np.transpose,
    "astype": lambda array, dtype: array.astype(dtype),
    "einsum": lambda array, subscripts, before, after: np.einsum(
        subscripts, before, array, after, optimize=True
    ).astype(np.float32),
}


def in_blocks(shape: Sequence[int], outer: int, block: int) -> Layout:
    """[n, c, ...] -> [n, outer, ..., block], zeros where there is no channel.

    Args:
        shape: before it.
    """
    n, channels, *rest = shape
    whole = Layout().pad((0, 0), (0, outer * block - channels), *[(0, 0)] * len(rest))
    return whole.reshape(n, outer, block, *rest).transpose(0, 1, *range(3, 3 + len(rest)), 2)


def out_of_blocks(shape: Sequence[int], outer: int, block: int) -> Layout:
    """[n, outer, ..., block] -> [n, c, ...]; what fills the last blocks is dropped.

    Args:
        shape: after it.
    """
    n, channels, *rest = shape
    plain = Layout().transpose(0, 1, 2 + len(rest), *range(2, 2 + len(rest))).reshape(n, outer * block, *rest)
    bounds = [(0, extent) for extent in shape]
    return plain.slice(*bounds) if channels < outer * block else plain


def bias_in_blocks(channels: int, outer: int, block: int) -> Layout:
    """[c] -> [outer, block], zeros where there is no channel."""
    return Layout().pad((0, outer * block - channels)).reshape(outer, block)


def _pairs(pairs: Sequence[Sequence[int]]) -> tuple[tuple[int, int], ...]:
    return tuple((int(low), int(high)) for low, high in pairs)
