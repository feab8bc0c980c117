"""Boosted trees over the history of all groups of a template: what `dgp+` expects before it has measured anything.

Trees see the knobs and their context (`templates.columns`), grow in a second or two on 10^4 measurements, and on three
of four layers left out they ranked the configurations better than the deep GP of the group did, which is the paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from raydgp.errors import ModelError
from raydgp.surrogates.encoding import Rows
from raydgp.surrogates.history import History
from raydgp.surrogates.kinds import PretrainedKind, PretrainSettings
from raydgp.surrogates.tree_check import check

_ROUNDS = 300
_PARAMETERS = {
    "eta": 0.05,
    "max_depth": 6,
    "min_child_weight": 5,
    "subsample": 0.7,
    "colsample_bynode": 0.5,
    "num_parallel_tree": 4,  # each round the mean of several: the noise of shared machines is in the labels
    "verbosity": 0,
}


@dataclass(frozen=True)
class Trees:
    """Predicts the share of a task's best GFLOPS.

    Attributes:
        names: of the feature columns.
    """

    names: tuple[str, ...]
    booster: xgboost.Booster

    def predict(self, features: Rows) -> NDArray[np.float64]:
        """float32[n, d] -> float64[n]."""
        return np.asarray(self.booster.inplace_predict(features), np.float64)

    def expected(self, features: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predicts; whether a configuration runs is left to the search: float32[n, d] -> float64[n], ones[n]."""
        return self.predict(features), np.ones(len(features))


class TreesKind(PretrainedKind[Trees]):
    """Trees of all groups of a template."""

    name = "trees"
    file = "trees.ubj"
    of_all = True
    context = True
    libraries = ("xgboost",)

    def folder(self, group: str, template: str) -> str:
        return f"{group}-{template}" if group else template

    def fit(self, history: History, settings: PretrainSettings) -> Trees:
        data = xgboost.DMatrix(history.features, history.labels())
        booster = xgboost.train({**_PARAMETERS, "seed": settings.seed, "nthread": 1}, data, _ROUNDS)
        return Trees(tuple(history.names), booster)

    def write(self, model: Trees, path: Path) -> dict[str, Any]:
        path.write_bytes(model.booster.save_raw("ubj"))
        return {"encoding": {"names": list(model.names)}, "shape": {}}

    def read(self, path: Path, card: dict[str, Any], names: Sequence[str], device: str) -> Trees:
        if card["encoding"].get("names") != list(names):
            raise ModelError(f"{path.parent}: made for other features than today's; pre-train again")
        data = path.read_bytes()
        check(data, len(names))
        booster = xgboost.Booster({"nthread": 1})
        booster.load_model(bytearray(data))
        return Trees(tuple(names), booster)
