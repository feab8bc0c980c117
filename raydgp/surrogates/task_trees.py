"""Boosted trees for one task: where knobs have thresholds and odd options, they rank better than a smooth process."""

from __future__ import annotations

import numpy as np
import xgboost
from numpy.typing import NDArray

_ROUNDS = 80
_PARAMETERS = {
    "eta": 0.1,
    "max_depth": 4,
    "subsample": 0.8,
    "colsample_bynode": 0.4,
    "nthread": 1,
    "verbosity": 0,
}


def predictions(
    x: NDArray[np.float64], y: NDArray[np.float64], new: NDArray[np.float64], seed: int
) -> NDArray[np.float64]:
    """What trees fitted to float64[n, d] and float64[n] say of float64[k, d]: float64[k].

    They also see the sums and differences of all pairs of features: with sizes given as logarithms, the products and
    ratios, such as the threads of a block, where kernels have their thresholds. Each tree sees four fifths of the data,
    drawn by the seed: so the trees of two asks differ a little, and explore.
    """
    booster = xgboost.train({**_PARAMETERS, "seed": seed}, xgboost.DMatrix(_with_pairs(x), y), _ROUNDS)
    return np.asarray(booster.inplace_predict(_with_pairs(new)), np.float64)


def chances(
    x: NDArray[np.float64],
    good: NDArray[np.bool_],
    weights: NDArray[np.float64],
    new: NDArray[np.float64],
    seed: int,
) -> NDArray[np.float64]:
    """How likely trees take float64[k, d] for good ones of float64[n, d], of which bool[n] are: float64[k].

    Args:
        weights: of the good ones, float64[good.sum()]; all n are examples of the rest with weight 1.
    """
    labels = np.concatenate([np.ones(good.sum()), np.zeros(len(x))])
    rows = xgboost.DMatrix(np.concatenate([x[good], x]), labels, weight=np.concatenate([weights, np.ones(len(x))]))
    booster = xgboost.train({**_PARAMETERS, "objective": "binary:logistic", "seed": seed}, rows, _ROUNDS)
    return np.asarray(booster.inplace_predict(new), np.float64)


def _with_pairs(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """[n, d] -> [n, d^2]."""
    one, other = np.triu_indices(x.shape[1], 1)
    return np.concatenate([x, x[:, one] + x[:, other], x[:, one] - x[:, other]], axis=1)
