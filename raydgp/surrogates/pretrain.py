"""Pre-training of one model from the measurements of many tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

import numpy as np

from raydgp.errors import InputError
from raydgp.surrogates.history import History
from raydgp.surrogates.kinds import M, PretrainedKind, PretrainSettings
from raydgp.surrogates.ranking import HeldOut, held_out

_SETTINGS = PretrainSettings()


@dataclass(frozen=True)
class Pretrained(Generic[M]):
    """A pre-trained model, how one like it ranks what was held out, and the size of the history behind it."""

    model: M
    held_out: HeldOut
    records: int
    tasks: int


def pretrain(
    kind: PretrainedKind[M], history: History, settings: PretrainSettings = _SETTINGS, evaluate: bool = True
) -> Pretrained[M]:
    """Trains on all of the history, after a training without the held-out part that only serves the evaluation.

    Args:
        evaluate: without it the held-out figures are not numbers, in half the time.

    Raises:
        InputError: fewer than 2 measurements, or none that ran.
    """
    if len(history) < 2 or not history.valid.any():
        raise InputError(f"history has {len(history)} measurements, {history.valid.sum()} of them ran; measure more")
    figures = HeldOut("none", np.nan, np.nan)
    if evaluate:
        figures = held_out(history, lambda part: kind.fit(part, settings), settings.seed)
    return Pretrained(kind.fit(history, settings), figures, len(history), len(np.unique(history.task)))
