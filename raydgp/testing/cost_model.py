"""What every cost model keeps, see `raydgp.surrogates.Surrogate`."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from raydgp.surrogates import CostModelSettings, Surrogate
from raydgp.surrogates.base import Loss
from raydgp.surrogates.ranking import rank_correlation


def _data(seed: int, n: int = 200) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """GFLOPS with one peak over the first three of six features; some fail."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 8, size=(n, 6)).astype(np.float32)
    return x, np.where(x[:, 3] < 7, 100 * np.exp(-0.1 * ((x[:, :3] - 4) ** 2).sum(axis=1)) + 0.1, 0.0)


@pytest.mark.parametrize("loss", ["rank", "reg"])
class CostModelContract:
    """Derive from it, name the class `Test...`, and define `make`."""

    def make(self, settings: CostModelSettings) -> Surrogate:
        """A model that has learnt nothing yet."""
        raise NotImplementedError

    def test_ranks_what_it_has_not_seen(self, loss: Loss) -> None:
        model = self.make(CostModelSettings(loss))
        model.fit(*_data(0))
        x, y = _data(1)
        scores = model.predict(x)
        assert (scores.shape, scores.dtype) == ((len(x),), np.float64)
        assert rank_correlation(scores, y) > 0.5

    def test_the_same_seed_and_data_give_the_same_model(self, loss: Loss) -> None:
        x = _data(1)[0]
        one, other = (self.make(CostModelSettings(loss, seed=5)) for _ in range(2))
        one.fit(*_data(0))
        other.fit(*_data(0))
        assert np.array_equal(one.predict(x), other.predict(x))

    def test_fitting_again_forgets(self, loss: Loss) -> None:
        again, once = (self.make(CostModelSettings(loss)) for _ in range(2))
        again.fit(*_data(2))
        again.fit(*_data(0))
        once.fit(*_data(0))
        x, y = _data(1)
        assert abs(rank_correlation(again.predict(x), y) - rank_correlation(once.predict(x), y)) < 0.1

    def test_what_it_learns_from_stays_as_it_is(self, loss: Loss) -> None:
        x, y = _data(0)
        kept_x, kept_y = x.copy(), y.copy()
        model = self.make(CostModelSettings(loss))
        model.fit(x, y)
        model.predict(x)
        assert np.array_equal(x, kept_x)
        assert np.array_equal(y, kept_y)

    @pytest.mark.parametrize("y", [[0.0] * 5, [1.0] * 5, [0.0, 0.0, 3.0, 0.0, 0.0]], ids=["failed", "equal", "one ran"])
    def test_labels_that_teach_nothing_are_taken(self, loss: Loss, y: list[float]) -> None:
        model = self.make(CostModelSettings(loss))
        model.fit(np.arange(10, dtype=np.float32).reshape(5, 2), np.array(y))
        assert np.isfinite(model.predict(np.ones((3, 2), np.float32))).all()

    def test_one_row_is_enough(self, loss: Loss) -> None:
        model = self.make(CostModelSettings(loss))
        model.fit(np.ones((1, 2), np.float32), np.array([4.0]))
        assert np.isfinite(model.predict(np.ones((3, 2), np.float32))).all()
        assert model.predict(np.zeros((0, 2), np.float32)).shape == (0,)
