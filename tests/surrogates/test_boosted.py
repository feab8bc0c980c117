import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from raydgp.surrogates.base import CostModelSettings
from raydgp.surrogates.boosted import BoostedTrees, average_recall


def data(n=200, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 8, size=(n, 6)).astype(np.float32)
    return x, 100 * np.exp(-0.1 * ((x[:, :3] - 4) ** 2).sum(axis=1)) + 0.1


@pytest.mark.parametrize("loss", ["rank", "reg"])
def test_ranks_what_it_has_not_seen(loss):
    model = BoostedTrees(CostModelSettings(loss))
    model.fit(*data())
    x, y = data(seed=1)
    assert spearmanr(model.predict(x), y).statistic > 0.8


@pytest.mark.parametrize("loss", ["rank", "reg"])
def test_the_same_seed_gives_the_same_trees(loss):
    x = data(seed=1)[0]
    one, other = (BoostedTrees(CostModelSettings(loss, seed=5)) for _ in range(2))
    one.fit(*data())
    other.fit(*data())
    assert np.array_equal(one.predict(x), other.predict(x))


@pytest.mark.parametrize("loss", ["rank", "reg"])
@pytest.mark.parametrize("y", [np.zeros(5), np.ones(5), np.array([0, 0, 3.0, 0, 0])])
def test_labels_that_teach_nothing_are_taken(loss, y):
    model = BoostedTrees(CostModelSettings(loss))
    model.fit(np.arange(10, dtype=np.float32).reshape(5, 2), y)
    assert np.isfinite(model.predict(np.ones((3, 2), np.float32))).all()


@pytest.mark.parametrize("loss", ["rank", "reg"])
def test_one_row_is_enough(loss):
    model = BoostedTrees(CostModelSettings(loss))
    model.fit(np.ones((1, 2), np.float32), np.array([4.0]))
    assert model.predict(np.ones((3, 2), np.float32)).shape == (3,)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=30, unique=True), st.integers(1, 40), st.randoms())
def test_average_recall_equals_its_definition(labels, n, random):
    scores = labels.copy()
    random.shuffle(scores)
    labels, scores = np.array(labels, float), np.array(scores, float)
    by_score, by_label = np.argsort(-scores), np.argsort(-labels)
    recalls = [len(set(by_score[:k]) & set(by_label[:k])) / k for k in range(1, min(n, len(labels)) + 1)]
    assert average_recall(scores, labels, n) == pytest.approx(np.mean(recalls))


def test_average_recall_of_a_perfect_and_of_a_reversed_ranking():
    y = np.arange(100.0)
    assert average_recall(y, y, 64) == 1
    assert average_recall(-y, y, 40) == 0
