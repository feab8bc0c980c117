"""Knobs: named, ordered tables of options. One class serves both kinds, splits of a loop and plain choices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Knob:
    """One decision of a schedule.

    Attributes:
        name: what the template calls it.
        values: int64[size, width], the numbers of each option: the factors of a split (outermost first), or the value
            of a choice; float64 where that is a fraction.
        labels: what `decode` gives back for each option: a tuple of factors, or the option itself.
        features: float32[size, columns], what models see of each option; the values by default.
        feature_names: [columns], what follows the knob's name in the names of these columns.
    """

    name: str
    values: NDArray[Any]
    labels: tuple[Any, ...]
    features: NDArray[np.float32] | None = None
    feature_names: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of options."""
        return len(self.values)

    @property
    def width(self) -> int:
        """Numbers of an option."""
        return int(self.values.shape[1])

    @property
    def seen(self) -> NDArray[np.float32]:
        """What models see of each option: float32[size, columns]."""
        return self.values.astype(np.float32) if self.features is None else self.features

    @property
    def seen_names(self) -> list[str]:
        """Names of these columns; those of a split are `name.0` (outermost), `name.1`, ..."""
        if self.features is not None:
            return [f"{self.name}{name}" for name in self.feature_names]
        return [self.name] if self.width == 1 else [f"{self.name}.{i}" for i in range(self.width)]

    def only(self, kept: Sequence[bool]) -> Knob:
        """The same knob with fewer options: bool[size]."""
        labels = tuple(label for label, keep in zip(self.labels, kept, strict=True) if keep)
        rows = np.array(kept, bool)
        features = None if self.features is None else self.features[rows]
        return Knob(self.name, self.values[rows], labels, features, self.feature_names)


def split(
    name: str, extent: int, parts: int, keep: Callable[[NDArray[np.int64]], NDArray[np.bool_]] | None = None
) -> Knob:
    """All ordered factorisations of `extent` into `parts` factors, in AutoTVM's order.

    AutoTVM enumerates the last factor slowest and the second fastest, each through ascending divisors; the first
    factor is what remains (policy `factors`; docs/facts.md, AutoTVM spaces).

    Args:
        keep: int64[size, parts] -> bool[size], a filter on the options; without effect where it would leave none.
    """
    values = _factorisations(extent, parts)
    if keep is not None and keep(values).any():
        values = values[keep(values)]
    return Knob(name, values, tuple(tuple(row) for row in values.tolist()))


def choice(name: str, options: Sequence[Any]) -> Knob:
    """A plain choice. Whole numbers are their own feature; anything else is represented by its position."""
    numeric = all(isinstance(option, int) for option in options)
    numbers = [int(option) for option in options] if numeric else list(range(len(options)))
    return Knob(name, np.array(numbers, np.int64)[:, None], tuple(options))


@lru_cache(maxsize=512)
def divisors(extent: int) -> tuple[int, ...]:
    """Divisors in ascending order."""
    small = [d for d in range(1, int(extent**0.5) + 1) if extent % d == 0]
    return tuple(sorted({*small, *(extent // d for d in small)}))


@lru_cache(maxsize=512)
def _factorisations(extent: int, parts: int) -> NDArray[np.int64]:
    def tails(rest: int, length: int) -> list[tuple[int, ...]]:
        if length == 0:
            return [()]
        return [(*head, last) for last in divisors(rest) for head in tails(rest // last, length - 1)]

    rows = [(extent // prod(tail), *tail) for tail in tails(extent, parts - 1)]
    table = np.array(rows, np.int64).reshape(len(rows), parts)
    table.setflags(write=False)
    return table
