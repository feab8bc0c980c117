"""Which layers of a model are worth the next measurements: those that shorten the whole the most."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

_HOPED = 0.5  # part of a layer's time that its first search may save: little is known of a layer by its default
_HOPE = 0.02  # part of a layer's time that as many measurements again may save although the last ones saved nothing
_WORTH = 0.1  # of the first one's gain: below that, a layer waits for its turn
_ENOUGH = 1e-3  # part of the model's time: with less to be gained from a slice for every layer, the search ends


@dataclass(frozen=True)
class Progress:
    """How far the search of one layer is.

    Attributes:
        count: calls of the layer in the model.
        best_s: seconds of its fastest kernel after each measurement, infinite before one has run.
        left: configurations that may still be measured.
        rival_s: seconds of the fastest kernel of another algorithm for the same layer; only what is faster helps.
        first: measurements of its first search.
    """

    count: int
    best_s: tuple[float, ...]
    left: int
    rival_s: float = math.inf
    first: int = 0

    @property
    def is_new(self) -> bool:
        """Whether its first search has not ended."""
        return len(self.best_s) < self.first and self.left > 0

    def slice(self, usual: int) -> int:
        """Measurements that it would get next, where `usual` is what a layer gets after its first search."""
        return min(self.left, self.first - len(self.best_s) if self.is_new else usual)

    def gain_s(self, usual: int) -> float:
        """Seconds of the model's time that the next slice is expected to save; infinite while nothing is known.

        A first search may find anything. Later ones find less and less: what the second half of the measurements has
        saved, as many again are expected to save, spread evenly; and a little more in any case, for the search that was
        stuck.
        """
        size, measured = self.slice(usual), len(self.best_s)
        if not size:
            return 0.0
        if not measured or math.isinf(self.best_s[-1]):
            return math.inf
        middle = self.best_s[measured // 2]
        rate = 1 - self.best_s[-1] / middle if math.isfinite(middle) else 1.0
        part = _HOPED * size / self.first if self.is_new else (rate + _HOPE) * size / measured
        return self.count * max(0.0, self.best_s[-1] * part - max(0.0, self.best_s[-1] - self.rival_s))


def next_slices(layers: Mapping[str, Progress], slice_: int, at_a_time: int, left: int | None = None) -> dict[str, int]:
    """Measurements for the layers with the most to gain, name -> how many; none when nothing more is to be gained.

    Args:
        slice_: measurements that a layer gets, after its first search, before the layers are compared again.
        at_a_time: layers that get a slice at most; those with little to gain beside the first get none.
        left: measurements that the budget has left.
    """
    gains = {name: layer.gain_s(slice_) for name, layer in layers.items()}
    total_s = sum(p.count * p.best_s[-1] for p in layers.values() if p.best_s and p.best_s[-1] < p.rival_s)
    if sum(gains.values()) < _ENOUGH * total_s:
        return {}
    least = _WORTH * max(gains.values(), default=0.0)
    ranked = sorted((name for name in layers if gains[name] > 0 and gains[name] >= least), key=lambda n: -gains[n])
    slices: dict[str, float] = {}
    for name in ranked[:at_a_time]:
        slices[name] = min(layers[name].slice(slice_), math.inf if left is None else left - sum(slices.values()))
    return {name: int(size) for name, size in slices.items() if size > 0}
