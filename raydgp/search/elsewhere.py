"""Starting from what other devices measured of the same kernel, and going on without where that leads nowhere."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from raydgp.search.acquisition import batch
from raydgp.search.options import Options
from raydgp.search.unaided import Unaided, UnaidedOptions
from raydgp.space import Indices
from raydgp.surrogates.elsewhere import Elsewhere
from raydgp.surrogates.residual import Points, ResidualGP

_FIRST = 8  # measurements chosen by the others alone
_SPENT = 16  # measurements without a better one after which the others are hardly listened to
_RANKED = 1500  # of the best elsewhere, candidates of each ask
_LOWEST = -2.5  # logarithm of the share of the best that stands for failures


class ElsewhereOptions(Options):
    """Where the measurements of other devices are."""

    elsewhere: tuple[Path, ...] = Field(
        (),
        description="measurements of the same kernel on other devices: recorded spaces, journals, Parquet files of "
        "records, or folders of them",
    )


class InformedOptions(UnaidedOptions, ElsewhereOptions):
    """Of a search that may know the kernel from other devices."""


class Informed(Unaided):
    """Mixin of strategies that learn from the same kernel on other devices.

    The first picks have the largest expected improvement under the geometric mean of the other devices' slow-downs,
    corrected by an exact Gaussian process for this one. From then on these are half of each batch. The other half is
    `unaided`, whose models see each device's ranks as a column. While nothing better is found, the others have one pick
    of a batch and the columns are left out: what they knew is spent, or it misleads.
    """

    options_model = InformedOptions
    options: InformedOptions

    @cached_property
    def elsewhere(self) -> Elsewhere | None:
        """None where nothing was given.

        Raises:
            InputError: what was given has nothing of this kernel.
        """
        return Elsewhere.read(self.options.elsewhere, self.space) if self.options.elsewhere else None

    @property
    def start(self) -> str:
        if self.elsewhere is None:
            return super().start
        return "{} configurations that {} others measured".format(*self.elsewhere.logs.shape)

    def informed(self, n: int) -> Indices:
        """The next n by what is known from elsewhere and from here."""
        if len(self.told) < _FIRST or not self.gflops.any():
            return self._by_others(n)
        picks = self._by_others(1 if self.spent else (n + 1) // 2)
        self._visited = np.union1d(self._visited, picks)
        return np.concatenate([picks, self.unaided(n - len(picks))]) if len(picks) < n else picks

    def encoded(self, indices: Indices) -> NDArray[np.float64]:
        own = super().encoded(indices)
        if self.elsewhere is None or self.spent:
            return own
        return np.concatenate([own, self.elsewhere.columns(indices)], axis=1)

    @property
    def spent(self) -> bool:
        """Whether nothing better has been found for a while."""
        return self.since_best >= _SPENT

    def _by_others(self, n: int) -> Indices:
        """The largest expected improvements of what the others rank first and of what is near the best here."""
        assert self.elsewhere
        ranked = self.elsewhere.ranked
        candidates = ranked[self.fresh(ranked)][:_RANKED]
        ran = self.gflops > 0
        if ran.any():
            candidates = np.unique(np.concatenate([candidates, *self.near()]))
        if not len(candidates):
            return self.draw(n)
        best = self.gflops.max(initial=0.0) or 1.0
        y = np.log(np.maximum(self.gflops / best, np.exp(_LOWEST)))
        model = ResidualGP(self._points(self.told), y).supposing(self._points(self.pending))
        rows, _ = batch(model, self._points(candidates), np.ones(len(candidates)), 0.0 if ran.any() else None, n)
        return candidates[rows]

    def _points(self, indices: Indices) -> Points:
        assert self.elsewhere
        return Points(super().encoded(indices), self.elsewhere.expected(indices))
