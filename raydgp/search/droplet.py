"""Droplet search: coordinate descent that only moves for a significant gain (TACO 2024, TVM from v0.13)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.stats import ttest_ind

from raydgp.search.bookkeeping import BookkeepingStrategy
from raydgp.search.options import Fraction, Options
from raydgp.space import ConfigSpace, Indices

_MASKS = 1 << 13  # all of 13 knobs


class DropletOptions(Options):
    """The default is that of TVM's DropletTuner."""

    pvalue: Fraction = Field(0.05, description="p of Welch's t-test up to which a faster configuration is moved to")


class Droplet(BookkeepingStrategy):
    """Looks at the neighbours of the best, at a growing distance, and moves when one is significantly faster.

    The neighbours are the best plus and minus s times a mask of knobs, cut off at the ends of a knob: first all masks
    of one knob at s = 1, 2, ... to the longest knob, then those of two knobs, and so on. A move begins anew; when no
    neighbours are left, the search ends: a local optimum is a regular end, and not every configuration is asked.

    TVM's DropletTuner takes masks of most knobs first, but of each s only as many as a batch, so that s grows fast; its
    authors' later version for MetaSchedule moves one knob at a time. Taking all masks of s = 1 before s = 2, which are
    hundreds in a space of eight knobs, a search of 256 measurements hardly left where it had started.

    A faster configuration is moved to if Welch's t-test over the samples of both gives p <= `pvalue`; where one of
    them has fewer than two samples, being faster is enough.

    It starts at the first option of every knob, as TVM's does. On a GPU a block then has one thread, and perhaps
    nothing around it runs: until something has run it draws at random, where TVM's ends.
    """

    name = "droplet"
    kept: ClassVar[tuple[str, ...]] = ("queue", "centre", "step", "seen", "samples")

    options_model = DropletOptions
    options: DropletOptions

    def __init__(self, space: ConfigSpace, seed: int = 0, options: DropletOptions | None = None) -> None:
        super().__init__(space, seed, options)
        self.centre = 0  # all knobs at their first option, or the default where that is statically invalid
        if not space.valid(np.zeros(1, np.int64))[0]:
            self.centre = space.default
        self.queue = np.array([self.centre])
        self.step = 1  # of all masks of one knob and every distance, then of two, ...
        self.seen = 0  # outcomes already looked at
        self.samples: list[list[float]] = []  # of each outcome, GFLOPS of the single repeats
        self._directions = _directions(len(space.radix), np.flatnonzero(space.radix > 1).tolist())
        self._reach = int(space.radix.max()) - 1

    @property
    def exhaustive(self) -> bool:
        return False

    def tell(
        self,
        indices: Indices,
        gflops: NDArray[np.float64],
        valid: NDArray[np.bool_],
        samples: Sequence[Sequence[float]] | None = None,
    ) -> None:
        before = len(self.told)
        super().tell(indices, gflops, valid)
        of = dict(zip(np.asarray(indices).tolist(), samples, strict=True)) if samples is not None else {}
        self.samples += [[float(x) for x in of.get(index, ())] for index in self.told[before:].tolist()]

    def propose(self, n: int) -> Indices:
        self._move()
        if self.seen and not self.gflops.any():
            return self.draw(n)
        self.queue = self.queue[self.fresh(self.queue)]
        while len(self.queue) < n and self.step <= self._reach * len(self._directions):
            self.queue = np.concatenate([self.queue, self._neighbours()])
            self.step += 1
        picks, self.queue = self.queue[:n], self.queue[n:]
        return picks

    def _move(self) -> None:
        """Moves to the fastest of the new outcomes that is significantly faster than the centre, if there is one."""
        news = np.arange(self.seen, len(self.told))
        self.seen = len(self.told)
        for at in news[np.argsort(-self.gflops[news], kind="stable")].tolist():
            if self._faster(at):
                self.centre, self.step = int(self.told[at]), 1
                self.queue = self.queue[:0]
                return

    def _faster(self, at: int) -> bool:
        held = np.flatnonzero(self.told == self.centre)
        if not len(held) or not self.gflops[held[0]]:
            return bool(self.gflops[at] > 0)
        if self.gflops[at] <= self.gflops[held[0]]:
            return False
        new, old = self.samples[at], self.samples[held[0]]
        if min(len(new), len(old)) < 2 or np.ptp(new) == np.ptp(old) == 0:
            return True
        return bool(ttest_ind(new, old, equal_var=False).pvalue <= self.options.pvalue)

    def _neighbours(self) -> Indices:
        """Neighbours of the centre at the current step that may be asked and do not wait already, in order."""
        centre = self.space.digits([self.centre])[0]
        size, distance = divmod(self.step - 1, self._reach)
        digits = np.clip(centre + (distance + 1) * self._directions[size], 0, self.space.radix - 1)
        indices = self.space.from_digits(digits)
        indices = indices[np.sort(np.unique(indices, return_index=True)[1])]
        return indices[self.fresh(indices) & ~np.isin(indices, self.queue)]


def _directions(knobs: int, movable: list[int]) -> list[NDArray[np.int64]]:
    """For one knob at a time, two, ...: masks of the movable knobs, each followed by its negative: int64[n, knobs].

    Masks of more knobs at a time are left out where they would bring the number above `_MASKS`.
    """
    found, total = [], 0
    for size in range(1, len(movable) + 1):
        total += comb(len(movable), size)
        if size > 1 and total > _MASKS:
            break
        chosen = list(combinations(movable, size))
        masks = np.zeros((len(chosen), knobs), np.int64)
        for row, mask in zip(masks, chosen, strict=True):
            row[list(mask)] = 1
        found.append(np.stack([masks, -masks], axis=1).reshape(-1, knobs))
    return found
