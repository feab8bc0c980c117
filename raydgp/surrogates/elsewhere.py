"""What other devices say of the kernel that is searched: how much slower than its best each configuration was there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raydgp.errors import InputError
from raydgp.space import ConfigSpace, Indices
from raydgp.surrogates.history import Measured
from raydgp.surrogates.sources import gather
from raydgp.workloads import Parametric

_SLOWEST = 12.0  # slow-down that stands for what failed, and for all that are larger


@dataclass(frozen=True, eq=False)
class Elsewhere:
    """A kernel's configurations as other devices rank them.

    Attributes:
        indices: int64[n], ascending: those that at least one device has measured.
        logs: float64[n, devices], logarithm of the share of that device's best; not a number where it has not measured.
    """

    indices: Indices
    logs: NDArray[np.float64]

    @classmethod
    def read(cls, paths: Sequence[Path], space: ConfigSpace) -> Elsewhere:
        """What files and folders, as `sources.gather` takes them, know of the kernel of a space.

        Raises:
            InputError: a path that is none of these, or nothing of that kernel in them.
        """
        tasks = [task for task in gather(paths) if same_kernel(task.space, space) and task.valid.any()]
        parts = [(_renumbered(task, space), task.gflops) for task in tasks]
        known = np.unique(np.concatenate([np.zeros(0, np.int64), *(indices for indices, _ in parts)]))
        known = known[known >= 0]
        if not len(known):
            where = ", ".join(map(str, paths))
            raise InputError(f"elsewhere: {where} has no measurements of {space.workload}; give some of that kernel")
        logs = np.full((len(known), len(parts)), np.nan)
        for column, (indices, gflops) in zip(logs.T, parts, strict=True):
            share = np.maximum(gflops / gflops.max(), 1 / _SLOWEST)
            column[np.searchsorted(known, indices[indices >= 0])] = np.log(share[indices >= 0])
        return cls(known, logs)

    @cached_property
    def mean(self) -> NDArray[np.float64]:
        """Logarithm of the reciprocal of the mean slow-down over the devices that measured it: float64[n]."""
        return np.asarray(-np.log(np.nanmean(np.exp(-self.logs), axis=1)))

    @property
    def ranked(self) -> Indices:
        """All of them, the least mean slow-down first: int64[n]."""
        return self.indices[np.argsort(-self.mean, kind="stable")]

    def expected(self, indices: Indices) -> NDArray[np.float64]:
        """The mean of each, the median of all where no device has measured it: int64[k] -> float64[k]."""
        return self._looked_up(self.mean, indices, np.median(self.mean))

    def columns(self, indices: Indices) -> NDArray[np.float64]:
        """A standardised column for each device, 0 where it has not measured it: int64[k] -> float64[k, devices]."""
        standard = (self.logs - np.nanmean(self.logs, axis=0)) / np.maximum(np.nanstd(self.logs, axis=0), 1e-6)
        return self._looked_up(np.nan_to_num(standard), indices, 0.0)

    def _looked_up(self, table: NDArray[np.float64], indices: Indices, otherwise: float) -> NDArray[np.float64]:
        at = np.minimum(np.searchsorted(self.indices, indices), len(self.indices) - 1)
        found = table[at]
        found[self.indices[at] != indices] = otherwise
        return found


def same_kernel(one: ConfigSpace, other: ConfigSpace) -> bool:
    """The same template and knobs of the same workload; what has only a name is known by it."""
    same = one.workload == other.workload
    if isinstance(one.workload, Parametric) and isinstance(other.workload, Parametric):
        same = one.workload.name == other.workload.name
    names = ([knob.name for knob in space.knobs] for space in (one, other))
    return same and one.template == other.template and next(names) == next(names)


def _renumbered(task: Measured, space: ConfigSpace) -> Indices:
    """The measured configurations as this space numbers them, -1 for those that it has not: int64[n]."""
    digits = task.space.digits(task.indices)
    for column, theirs, ours in zip(digits.T, task.space.knobs, space.knobs, strict=True):
        places = {label: place for place, label in enumerate(ours.labels)}
        column[:] = np.array([places.get(label, -1) for label in theirs.labels])[column]
    out = np.where((digits >= 0).all(axis=1), space.from_digits(digits), -1)
    out[out >= 0] = np.where(space.valid(out[out >= 0]), out[out >= 0], -1)
    return out
