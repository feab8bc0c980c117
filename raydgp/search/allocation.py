"""Which layers of a model are worth the next measurements: those that shorten the whole the most."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

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
    """

    count: int
    best_s: tuple[float, ...]
    left: int
    rival_s: float = math.inf

    def gain_s(self, slice_: int) -> float:
        """Seconds of the model's time that the next `slice_` measurements are expected to save; infinite while nothing
        is known.

        A search finds less and less: what the second half of its measurements has saved, as many again are expected
        to save, spread evenly; and a little more in any case, for the search that was stuck.
        """
        if not self.left:
            return 0.0
        if not self.best_s or math.isinf(self.best_s[-1]):
            return math.inf
        middle = self.best_s[len(self.best_s) // 2]
        rate = 1 - self.best_s[-1] / middle if math.isfinite(middle) else 1.0
        saved_s = self.best_s[-1] * (rate + _HOPE) * min(slice_, self.left) / len(self.best_s)
        return self.count * max(0.0, saved_s - max(0.0, self.best_s[-1] - self.rival_s))


def next_slices(layers: Mapping[str, Progress], slice_: int, at_a_time: int, left: int | None = None) -> dict[str, int]:
    """Measurements for the layers with the most to gain, name -> how many; none when nothing more is to be gained.

    Args:
        slice_: measurements that a layer gets before the layers are compared again.
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
        slices[name] = min(slice_, layers[name].left, math.inf if left is None else left - sum(slices.values()))
    return {name: int(size) for name, size in slices.items() if size > 0}
