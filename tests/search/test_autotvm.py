from typing import Any

import numpy as np
import pytest

from raydgp import registry, search, surrogates
from raydgp.surrogates.boosted import BoostedTrees


@pytest.fixture
def fits():
    """Sizes of the data of every fit of a cost model called `counting`."""
    sizes = []

    class Counting(BoostedTrees):
        name = "counting"

        def fit(self, features, y):
            sizes.append(len(y))
            super().fit(features, y)

    with registry.isolated():
        surrogates.register(Counting)
        yield sizes


def rounds(strategy, n, count, space, gflops):
    for _ in range(count):
        picks = strategy.ask(n)
        strategy.tell(picks, gflops(space, picks), np.ones(len(picks), bool))


def test_the_model_is_fitted_after_each_plan(conv, bowl, fits):
    strategy: Any = search.create("autotvm", conv, iterations=20, cost_model="counting")
    rounds(strategy, 16, 13, conv, bowl)
    assert fits == [64, 128, 192]


def test_history_replaces_the_random_plan(conv, bowl, fits):
    strategy: Any = search.create("autotvm", conv, iterations=20, cost_model="counting")
    history = conv.sample_valid(200, np.random.default_rng(0))
    strategy.tell(history, bowl(conv, history), np.ones(200, bool))
    strategy.ask(16)
    assert fits == [200]


def test_the_end_of_a_plan_is_random(conv, bowl):
    strategy: Any = search.create("autotvm", conv, iterations=20, epsilon=0.25, plan_size=16)
    rounds(strategy, 16, 1, conv, bowl)
    strategy.ask(1)
    assert len(strategy.plan) == 12 - 1


@pytest.mark.parametrize("loss", ["rank", "reg"])
def test_a_plan_of_the_model_is_better_than_a_random_one(conv, loss):
    def gflops(space, indices):
        return 100 * np.exp(-0.2 * ((np.log2(space.features(indices)[:, :12] + 1) - 1.5) ** 2).sum(axis=1))

    strategy: Any = search.create("autotvm", conv, loss=loss, chains=32, iterations=100)
    rounds(strategy, 64, 2, conv, gflops)
    assert np.median(strategy.gflops[64:]) > 2 * np.median(strategy.gflops[:64])


def test_chains_persist(conv, bowl):
    strategy: Any = search.create("autotvm", conv, chains=8, iterations=5, plan_size=8)
    rounds(strategy, 8, 2, conv, bowl)
    ends = strategy.chain_points.copy()
    rounds(strategy, 8, 1, conv, bowl)
    digits = (conv.digits(ends) != conv.digits(strategy.chain_points)).sum(axis=1)
    assert digits.max() <= 5
