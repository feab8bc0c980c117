"""Pre-training of one deep GP from the measurements of many tasks, and how well it ranks a task it never saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import ndcg_score

from raydgp.errors import InputError
from raydgp.space import ConfigSpace, Indices
from raydgp.surrogates.encoding import Rows, relative
from raydgp.surrogates.scorer import Scorer, Shape, fitted
from raydgp.surrogates.training import Trained, Training
from raydgp.surrogates.transfer import rank_correlation
from raydgp.templates.columns import machine_features

_NDCG_AT = 100
_SHAPE, _TRAINING = Shape(), Training()  # the paper's
_TASKS_TO_LEAVE_ONE_OUT = 3  # with fewer, a fifth of each task's points is left out instead


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
        """From the measurements of several spaces of one template.

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
        """Those rows only."""
        return History(self.names, self.features[keep], self.gflops[keep], self.valid[keep], self.task[keep])

    def labels(self) -> NDArray[np.float64]:
        """GFLOPS as a share of the task's best: float64[n]."""
        out = np.zeros(len(self))
        for task in np.unique(self.task):
            rows = self.task == task
            out[rows] = relative(self.gflops[rows], self.valid[rows])
        return out


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


@dataclass(frozen=True)
class PretrainedScorer:
    """A scorer, how it ranks what was held out, its training, and the data behind it."""

    scorer: Scorer
    held_out: HeldOut
    trained: Trained
    records: int
    tasks: int


def pretrain(
    history: History,
    shape: Shape = _SHAPE,
    training: Training = _TRAINING,
    seed: int = 0,
    device: str = "cpu",
    evaluate: bool = True,
) -> PretrainedScorer:
    """Trains on all of the history, after a training without the held-out part that only serves the evaluation.

    Args:
        evaluate: without it the held-out figures are not numbers, in half the time.

    Raises:
        InputError: fewer than 2 measurements, or none that ran.
    """
    if len(history) < 2 or not history.valid.any():
        raise InputError(f"history has {len(history)} measurements, {history.valid.sum()} of them ran; measure more")

    def fit(part: History) -> tuple[Scorer, Trained]:
        names = tuple(part.names)
        return fitted(names, part.features, part.labels(), part.valid, shape, training, seed, device)

    figures = held_out(history, lambda part: fit(part)[0], seed) if evaluate else HeldOut("none", np.nan, np.nan)
    scorer, trained = fit(history)
    return PretrainedScorer(scorer, figures, trained, len(history), len(np.unique(history.task)))


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
