"""What every kind of pre-trained model keeps, see `raydgp.surrogates.PretrainedKind`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raydgp.errors import ModelError
from raydgp.surrogates import PretrainedKind, PretrainSettings
from raydgp.surrogates.artefact import Card, load, save
from raydgp.surrogates.history import History, Measured
from raydgp.surrogates.pretrain import pretrain
from raydgp.templates.spaces import config_space
from raydgp.testing.spaces import smooth
from raydgp.workloads import Conv2d


@cache
def _tasks() -> list[Measured]:
    """Three layers of one group, 120 measurements each."""
    tasks = []
    for channels in (32, 64, 128):
        space = config_space(Conv2d(n=1, ci=channels, h=14, w=14, co=channels, kh=3, kw=3, padding=(1, 1)), "cuda")
        rows = space.sample_valid(120, np.random.default_rng(channels))
        tasks.append(Measured(space, rows, smooth(space, rows), np.ones(len(rows), bool), "formula"))
    return tasks


class PretrainedKindContract:
    """Derive from it, name the class `Test...`, and define `make`.

    Attributes:
        settings: of the trainings; give fewer epochs to keep them short.
    """

    settings = PretrainSettings(epochs=30)

    def make(self) -> PretrainedKind[Any]:
        """The kind."""
        raise NotImplementedError

    def _history(self) -> History:
        return History.of(_tasks(), self.make().context)

    def _saved(self, folder: Path) -> tuple[Any, History]:
        kind, history = self.make(), self._history()
        made = pretrain(kind, history, self.settings, evaluate=False)
        spaces = [task.space for task in _tasks()]
        save(folder, kind, made.model, Card.of(kind, spaces, made, ["formula"]))
        return made.model, history

    def test_ranks_a_task_that_was_left_out(self) -> None:
        made = pretrain(self.make(), self._history(), self.settings)
        assert (made.held_out.by, made.records, made.tasks) == ("task", 360, 3)
        assert made.held_out.spearman > 0.3

    def test_predictions_are_finite_and_chances_are_chances(self) -> None:
        history = self._history()
        model = self.make().fit(history, self.settings)
        mean, runs = model.expected(history.features)
        for values in (mean, runs, model.predict(history.features)):
            assert (values.shape, values.dtype) == ((len(history),), np.float64)
            assert np.isfinite(values).all()
        assert ((runs >= 0) & (runs <= 1)).all()

    def test_the_same_seed_gives_the_same_model(self) -> None:
        history = self._history()
        one, other = (self.make().fit(history, self.settings) for _ in range(2))
        assert np.array_equal(one.predict(history.features), other.predict(history.features))

    def test_comes_back_as_it_was_saved(self, tmp_path: Path) -> None:
        model, history = self._saved(tmp_path)
        again, card = load(tmp_path, _tasks()[0].space.template, history.names)
        assert np.array_equal(again.predict(history.features), model.predict(history.features))
        assert (card.kind, card.group == "") == (self.make().name, self.make().of_all)

    def test_other_columns_and_templates_are_refused(self, tmp_path: Path) -> None:
        _, history = self._saved(tmp_path)
        with pytest.raises(ModelError):
            load(tmp_path, "another.v1", history.names)
        with pytest.raises(ModelError):
            load(tmp_path, _tasks()[0].space.template, [*list(history.names)[:-1], "another"])

    @pytest.mark.parametrize("size", [0, 1, 100])
    def test_a_truncated_file_is_refused(self, tmp_path: Path, size: int) -> None:
        _, history = self._saved(tmp_path)
        weights = tmp_path / self.make().file
        weights.write_bytes(weights.read_bytes()[:size])
        with pytest.raises(ModelError, match="not the file its card was written for"):
            load(tmp_path, _tasks()[0].space.template, history.names)
