"""What pre-trained models expected of recorded spaces that they had not seen, beside what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from raydgp import search
from raydgp.records.recorded import RecordedSpace
from raydgp.settings import CompareSettings
from raydgp.surrogates import artefact, kinds
from raydgp.surrogates.history import seen_by_model

_SHOWN = 200  # configurations of a task at most


def predictions(paths: Sequence[Path], settings: CompareSettings) -> pd.DataFrame:
    """Predictions by the models that a comparison has made, each without the task that it predicts.

    Returns:
        A row a configuration that ran, up to 200 of a task drawn at random, and kind of model: task, kind, predicted
        and measured, GFLOPS as shares of the task's best; none where no strategy starts from a model.
    """
    wanted = [options.get("strategy", name) for name, options in settings.strategies.items()]
    if not any(map(search.starts_from_model, wanted)):
        return pd.DataFrame()
    parts = [_of_task(path, settings.models_dir / path.stem, kind) for path in paths for kind in kinds.names()]
    return pd.concat(parts, ignore_index=True)


def _of_task(path: Path, models: Path, kind: str) -> pd.DataFrame:
    recorded = RecordedSpace.load(path)
    folder = artefact.find(models, recorded.space, kind) if models.is_dir() else None
    if folder is None:
        return pd.DataFrame()
    how = kinds.named(kind)
    names, columns = seen_by_model(recorded.space, recorded.indices, how.context)
    model, _ = artefact.load(folder, recorded.space.template, names)
    with how.limited(1):
        expected = model.expected(columns)[0]
    ran = np.flatnonzero(recorded.gflops > 0)
    shown = np.random.default_rng(0).permutation(ran)[:_SHOWN]
    shares = {"predicted": expected[shown] / expected.max(), "measured": recorded.gflops[shown] / recorded.gflops.max()}
    return pd.DataFrame({"task": recorded.name, "kind": kind, **shares})
