import numpy as np

from raydgp.surrogates.base import CostModelSettings
from raydgp.surrogates.boosted import BoostedTrees
from raydgp.surrogates.bootstrap import Bootstrap


class Recorder:
    """Keeps what it was fitted to and predicts its mean."""

    def __init__(self, seed):
        self.seed = seed

    def fit(self, features, y):
        self.features, self.y = features, y

    def predict(self, features):
        return np.full(len(features), self.y.mean())


def fitted(resamples, n=50):
    made = []

    def make(seed):
        made.append(Recorder(seed))
        return made[-1]

    x = np.arange(n, dtype=np.float32)[:, None]
    ensemble = Bootstrap(make, resamples, np.random.default_rng(0))
    ensemble.fit(x, x[:, 0].astype(float))
    return ensemble, made


def test_members_learn_from_resamples_of_the_same_size():
    _, members = fitted(3)
    assert len({member.seed for member in members}) == 3
    for member in members:
        assert len(member.y) == 50
        assert np.array_equal(member.features[:, 0], member.y)  # rows stay together
        assert 20 < len(np.unique(member.y)) < 45  # 1 - 1/e of 50 is 32
    assert not np.array_equal(members[0].y, members[1].y)


def test_the_prediction_is_the_sum():
    ensemble, members = fitted(3)
    expected = sum(member.y.mean() for member in members)
    assert np.allclose(ensemble.predict(np.zeros((2, 1), np.float32)), expected)


def test_fitting_again_forgets():
    ensemble, _ = fitted(2)
    ensemble.fit(np.zeros((4, 1), np.float32), np.full(4, 7.0))
    assert np.allclose(ensemble.predict(np.zeros((1, 1), np.float32)), 14.0)


def test_an_ensemble_of_trees_ranks():
    rng = np.random.default_rng(0)
    x = rng.random((150, 3)).astype(np.float32)
    ensemble = Bootstrap(lambda seed: BoostedTrees(CostModelSettings("reg", seed=seed)), 2, rng)
    ensemble.fit(x, x[:, 0].astype(float))
    scores = ensemble.predict(np.linspace(0, 1, 20, dtype=np.float32)[:, None].repeat(3, axis=1))
    assert np.corrcoef(scores, np.arange(20))[0, 1] > 0.9
