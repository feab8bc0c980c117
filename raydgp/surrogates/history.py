"""What surrogates learn from: the measurements of many tasks as columns of features and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from raydgp.errors import InputError
from raydgp.space import ConfigSpace, Indices
from raydgp.surrogates.encoding import Rows, relative
from raydgp.templates.columns import machine_features


def seen_by_model(space: ConfigSpace, indices: Indices, context: bool) -> tuple[list[str], Rows]:
    """Names and values of the columns that a model sees, with or without context: [d], float32[n, d]."""
    return machine_features(space, indices) if context else (space.feature_names, space.features(indices))


class Measured(NamedTuple):
    """What one device measured of one task: int64[n], float64[n] (0 where it failed), bool[n]."""

    space: ConfigSpace
    indices: Indices
    gflops: NDArray[np.float64]
    valid: NDArray[np.bool_]
    device: str = ""


@dataclass(frozen=True)
class History:
    """Measurements of one group of tasks on one target, n rows.

    Attributes:
        names: feature columns.
        features: float32[n, d].
        gflops: float64[n], 0 where it failed.
        valid: bool[n].
        task: int64[n], equal for rows of the same space.
    """

    names: Sequence[str]
    features: Rows
    gflops: NDArray[np.float64]
    valid: NDArray[np.bool_]
    task: NDArray[np.int64]

    @classmethod
    def of(cls, tasks: Sequence[Measured], context: bool = False) -> History:
        """Collects the measurements of several spaces of one template.

        Args:
            context: whether the features include what `templates.columns` adds to the knobs.

        Raises:
            InputError: none, or spaces of different templates or feature layouts.
        """
        layouts = {(task.space.template, *task.space.feature_names) for task in tasks}
        if len(layouts) != 1:
            raise InputError(f"history: {len(layouts)} feature layouts among {len(tasks)} tasks; take one template's")
        seen = [seen_by_model(task.space, task.indices, context) for task in tasks]
        return cls(
            seen[0][0],
            np.concatenate([features for _, features in seen]),
            np.concatenate([task.gflops for task in tasks]),
            np.concatenate([task.valid for task in tasks]),
            np.repeat(np.arange(len(tasks)), [len(task.indices) for task in tasks]),
        )

    def __len__(self) -> int:
        return len(self.features)

    def rows(self, keep: NDArray[np.bool_]) -> History:
        """A history of those rows only."""
        return History(self.names, self.features[keep], self.gflops[keep], self.valid[keep], self.task[keep])

    def labels(self) -> NDArray[np.float64]:
        """GFLOPS as a share of the task's best: float64[n]."""
        out = np.zeros(len(self))
        for task in np.unique(self.task):
            rows = self.task == task
            out[rows] = relative(self.gflops[rows], self.valid[rows])
        return out
