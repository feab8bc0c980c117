"""How well a model ranks what it was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.metrics import ndcg_score

from raydgp.surrogates.encoding import Rows
from raydgp.surrogates.history import History

_NDCG_AT = 100
_TASKS_TO_LEAVE_ONE_OUT = 3  # with fewer, a fifth of each task's points is left out instead


@dataclass(frozen=True)
class HeldOut:
    """How a model ranks what it was not trained on, the mean over tasks.

    Attributes:
        by: `task`, whole tasks were left out; `point`, a fifth of every task's points.
        spearman: rank correlation.
        ndcg: normalised discounted cumulative gain of the first 100.
    """

    by: str
    spearman: float
    ndcg: float


class Predictor(Protocol):
    """Whatever scores raw features: float32[n, d] -> float64[n]."""

    def predict(self, features: Rows, /) -> NDArray[np.float64]: ...


def held_out(history: History, fit: Callable[[History], Predictor], seed: int) -> HeldOut:
    """How a model that is fitted without a part of the history ranks that part."""
    rng = np.random.default_rng(seed)
    tasks = np.unique(history.task)
    if len(tasks) >= _TASKS_TO_LEAVE_ONE_OUT:
        by, out = "task", np.isin(history.task, rng.permutation(tasks)[: max(1, len(tasks) // 5)])
    else:
        by, out = "point", rng.random(len(history)) < 0.2
    if not out.any() or out.all() or not history.valid[~out].any():
        return HeldOut(by, np.nan, np.nan)
    return HeldOut(by, *ranking(fit(history.rows(~out)), history.rows(out)))


def ranking(model: Predictor, history: History) -> tuple[float, float]:
    """Spearman's correlation and NDCG@100 of a model on measurements, the mean over their tasks."""
    predicted, labels = model.predict(history.features), history.labels()
    by_task = [np.flatnonzero(history.task == task) for task in np.unique(history.task)]
    by_task = [rows for rows in by_task if len(rows) > 1]
    correlations = [rank_correlation(predicted[rows], labels[rows]) for rows in by_task]
    gains = [ndcg_score(labels[None, rows], predicted[None, rows], k=_NDCG_AT) for rows in by_task]
    return float(np.mean(correlations)), float(np.mean(gains))


def rank_correlation(predicted: Sequence[float] | np.ndarray, measured: Sequence[float] | np.ndarray) -> float:
    """Spearman's; 0 where either side is constant."""
    if np.ptp(predicted) == 0 or np.ptp(measured) == 0:
        return 0.0
    return float(spearmanr(predicted, measured).statistic)
