"""How configurations and their speeds look to the deep GP (docs/facts.md, Deep Gaussian processes)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raydgp.errors import MALFORMED, ModelError, first_line

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Encoding:
    """Feature and label maps with the statistics of the source tasks, which the target task keeps.

    Attributes:
        names: feature columns, `ConfigSpace.feature_names`.
        options: for each column the numbers that stand for 0, 1, 2, ...; empty where the logarithm is taken.
        mean, std: [d], of the columns so mapped; std is 1 where a column never changes.
        label_mean, label_std: of the labels.
    """

    names: tuple[str, ...]
    options: tuple[tuple[float, ...], ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    label_mean: float
    label_std: float

    @classmethod
    def fit(cls, names: Sequence[str], features: Rows, labels: NDArray[np.float64]) -> Encoding:
        """Learns the maps from the source: features float32[n, d], labels float64[n] as of `relative`.

        Factors are positive numbers; a column with a zero or a negative number in it is a choice, such as the unroll
        step, and is represented by the position among its options.
        """
        options = [() if column.min() > 0 else tuple(np.unique(column).tolist()) for column in features.T]
        mapped = _mapped(features, options)
        std = mapped.std(axis=0)
        return cls(
            names=tuple(names),
            options=tuple(options),
            mean=tuple(mapped.mean(axis=0).tolist()),
            std=tuple(np.where(std > 1e-6, std, 1.0).tolist()),
            label_mean=float(labels.mean()),
            label_std=float(labels.std()) or 1.0,
        )

    def features(self, features: Rows) -> Rows:
        """Raw features to standardised ones: float32[n, d] -> float32[n, d].

        An option that the source never saw lies between its neighbours.

        Raises:
            ModelError: another number of columns.
        """
        if features.shape[1] != len(self.names):
            raise ModelError(f"the model knows {len(self.names)} features, not {features.shape[1]}; pre-train again")
        return ((_mapped(features, self.options) - self.mean) / self.std).astype(np.float32)

    def labels(self, relative: NDArray[np.float64]) -> Rows:
        """z-scores with the source's mean and deviation: float64[n] -> float32[n]."""
        return ((relative - self.label_mean) / self.label_std).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        return {
            "names": list(self.names),
            "options": [list(o) for o in self.options],
            "mean": list(self.mean),
            "std": list(self.std),
            "label_mean": self.label_mean,
            "label_std": self.label_std,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Encoding:
        """Inverse of `to_dict`.

        Raises:
            ModelError: a field is missing or of the wrong kind, or the columns disagree.
        """
        try:
            encoding = cls(
                names=tuple(str(name) for name in data["names"]),
                options=tuple(tuple(float(v) for v in column) for column in data["options"]),
                mean=tuple(float(v) for v in data["mean"]),
                std=tuple(float(v) for v in data["std"]),
                label_mean=float(data["label_mean"]),
                label_std=float(data["label_std"]),
            )
        except MALFORMED as error:
            raise ModelError(f"model card: normalisation is damaged ({first_line(error)}); pre-train again") from None
        if len({len(encoding.names), len(encoding.options), len(encoding.mean), len(encoding.std)}) > 1:
            raise ModelError("model card: normalisation has columns of different numbers; pre-train again")
        return encoding


def relative(gflops: NDArray[np.float64], valid: NDArray[np.bool_], best: float | None = None) -> NDArray[np.float64]:
    """Labels of one task: GFLOPS as a share of its best, invalid ones 0: float64[n], bool[n] -> float64[n].

    Args:
        best: the task's best GFLOPS where that is known better than from these measurements.
    """
    speeds = np.where(valid, gflops, 0.0)
    top = max(best or 0.0, float(speeds.max(initial=0.0)))
    return speeds / top if top > 0 else speeds


def _mapped(features: Rows, options: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """log2 of factors, positions of options: [n, d] -> [n, d]."""
    columns = [
        np.interp(column, known, np.arange(len(known))) if len(known) else np.log2(np.maximum(column, 1.0))
        for column, known in zip(features.T.astype(np.float64), options, strict=True)
    ]
    return np.stack(columns, axis=1) if columns else np.zeros(features.shape)
