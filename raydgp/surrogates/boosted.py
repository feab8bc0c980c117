"""AutoTVM's cost model: gradient-boosted trees over the knob features (XGBoost; TVM's XGBTuner)."""

from __future__ import annotations

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from raydgp.surrogates.base import CostModelSettings

_AUTOTVM = CostModelSettings()
_OBJECTIVES = {"rank": "rank:pairwise", "reg": "reg:squarederror"}

# Pairs as XGBoost drew them before 2.0, when AutoTVM was tuned with it: one partner for each row, anywhere, unscaled.
_PAIRS = {
    "lambdarank_pair_method": "mean",
    "lambdarank_num_pair_per_sample": 1,
    "lambdarank_normalization": False,
    "lambdarank_score_normalization": False,
}


class BoostedTrees:
    """Boosted trees with AutoTVM's settings; the same seed and data give the same trees.

    Args:
        settings: `rank` is pairwise, AutoTVM's loss up to v0.12; `reg` is the squared error, as from v0.13; rounds are
            trees at most; `recall_at` is n of the average recall@n over the training data that decides when to stop.
        patience: training stops after so many trees without a gain in average recall.
    """

    name = "boosted_trees"

    def __init__(self, settings: CostModelSettings = _AUTOTVM, patience: int = 20) -> None:
        self.rounds, self.patience, self.recall_at = settings.rounds, patience, settings.recall_at
        self._parameters = {
            "objective": _OBJECTIVES[settings.loss],
            "max_depth": 3,
            "gamma": 1e-4,
            "min_child_weight": 1,
            "subsample": 1.0,
            "eta": 0.3,
            "lambda": 1.0,
            "alpha": 0.0,
            "tree_method": "exact",
            "nthread": settings.threads,
            "seed": settings.seed,
            "verbosity": 0,
        }
        if settings.loss == "rank":
            self._parameters |= _PAIRS
        self._booster: xgb.Booster | None = None

    def fit(self, features: NDArray[np.float32], y: NDArray[np.float64]) -> None:
        """Learns anew; y is scaled by its maximum, as AutoTVM's labels are."""
        labels = y / max(float(y.max()), 1e-8)
        data = xgb.DMatrix(features, labels)
        booster = xgb.Booster(self._parameters, [data])
        best, since = -1.0, 0
        for round_ in range(self.rounds):
            booster.update(data, round_)
            recall = average_recall(booster.predict(data, output_margin=True), labels, self.recall_at)
            best, since = (recall, 0) if recall > best else (best, since + 1)
            if since >= self.patience:
                break
        self._booster = booster

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        assert self._booster is not None, "fit comes before predict"
        return np.asarray(self._booster.inplace_predict(features, predict_type="margin"), np.float64)


def average_recall(scores: NDArray[np.floating], labels: NDArray[np.floating], n: int) -> float:
    """Mean over k <= n of the share of the k best labels among the k best scores; AutoTVM's `a-recall@n`.

    An element is among both once k reaches the larger of its two ranks, so one count of those ranks gives all k.
    """
    n = min(n, len(labels))
    both = np.empty((2, len(labels)), np.int64)
    for rank, values in zip(both, (scores, labels), strict=True):
        rank[np.argsort(-values, kind="stable")] = np.arange(len(values))
    hits = np.cumsum(np.bincount(both.max(axis=0), minlength=n)[:n])
    return float(np.mean(hits / np.arange(1, n + 1)))
