"""Boosted trees over the history of all groups of a template: what `dgp+` expects before it has measured anything.

Trees see the knobs and their context (`templates.columns`), grow in a second or two on 10^4 measurements, and on three
of four layers left out they ranked the configurations better than the deep GP of the group did, which is the paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xgboost
from numpy.typing import NDArray

from raydgp.errors import ModelError
from raydgp.surrogates.artefact import Card, check_weights, read_card, write_card
from raydgp.surrogates.encoding import Rows
from raydgp.surrogates.pretrain import HeldOut, History, held_out

TREES = "trees.ubj"
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


@dataclass(frozen=True)
class PretrainedTrees:
    """Trees, how they rank what was held out, and the data behind them."""

    trees: Trees
    held_out: HeldOut
    records: int
    tasks: int


def grow(history: History, seed: int = 0, threads: int = 1, evaluate: bool = True) -> PretrainedTrees:
    """Grows trees on all of the history.

    Args:
        evaluate: whether trees that leave tasks out are grown before, for the held-out figures.
    """

    def fit(part: History) -> Trees:
        data = xgboost.DMatrix(part.features, part.labels())
        booster = xgboost.train({**_PARAMETERS, "seed": seed, "nthread": threads}, data, _ROUNDS)
        return Trees(tuple(part.names), booster)

    figures = held_out(history, fit, seed) if evaluate else HeldOut("none", np.nan, np.nan)
    return PretrainedTrees(fit(history), figures, len(history), len(np.unique(history.task)))


def save(folder: Path, trees: Trees, card: Card) -> Card:
    """Writes trees and card into a folder, which is made; gives back the card as written."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TREES).write_bytes(trees.booster.save_raw("ubj"))
    return write_card(folder, TREES, card, {"names": list(trees.names)}, {})


def load(folder: Path, template: str, names: Sequence[str]) -> Trees:
    """The trees of an artefact.

    Raises:
        ModelError: damaged, or of another template or feature layout.
    """
    card = read_card(folder)
    if card.template != template or card.encoding.get("names") != list(names):
        raise ModelError(f"{folder}: made for other features than {template}'s of today; pre-train again")
    check_weights(folder, TREES, card)
    booster = xgboost.Booster({"nthread": 1})
    try:
        booster.load_model(bytearray((folder / TREES).read_bytes()))
    except xgboost.core.XGBoostError:
        raise ModelError(f"{folder}: {TREES} does not load; pre-train again") from None
    return Trees(tuple(names), booster)
