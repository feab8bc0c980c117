from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from raydgp import search
from raydgp.search import ted


def by_the_book(matrix, m, mu):
    """Algorithm 1 as it is printed, with picks excluded."""
    k, picks = matrix.copy(), list[int]()
    for _ in range(m):
        score = (k**2).sum(axis=0) / (k.diagonal() + mu)
        score[picks] = -np.inf
        x = int(np.argmax(score))
        picks.append(x)
        k = k - np.outer(k[:, x], k[:, x]) / (k[x, x] + mu)
    return picks


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.sampled_from(["rbf", "distance"]), st.floats(0.01, 2))
def test_equals_the_algorithm_by_the_book(seed, n, kernel, mu):
    rng = np.random.default_rng(seed)
    matrix = ted.kernel_matrix(rng.normal(size=(n, 5)), kernel)
    m = int(rng.integers(1, n + 1))
    picks = ted.ted(matrix, m, mu)
    oracle = by_the_book(matrix, m, mu)
    agree = len(picks) if picks.tolist() == oracle else int(np.argmax(picks != oracle))
    assert agree >= min(m, 6)  # later scores may be ties to rounding, since K goes to 0
    assert len(set(picks.tolist())) == m


@pytest.mark.parametrize("kernel", ["rbf", "distance"])
def test_equals_the_book_at_the_papers_size(conv, kernel):
    points = ted.standardised_log2(conv.features(conv.sample_valid(500, np.random.default_rng(1))))
    matrix = ted.kernel_matrix(points, kernel)
    assert ted.ted(matrix, 64, 0.1).tolist() == by_the_book(matrix, 64, 0.1)


def coverage(space, pool, picks):
    """Mean distance of the pool to its nearest pick, in standardised log2 features."""
    points = ted.standardised_log2(space.features(np.concatenate([pool, picks])))
    return cdist(points[: len(pool)], points[len(pool) :]).min(axis=1).mean()


def test_covers_better_than_random_and_than_distances(conv):
    gaps = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        strategy: Any = search.create("random", conv, seed)
        pool = conv.sample_valid(2000, rng)
        arms = [
            ted.bted(conv, strategy.draw),
            strategy.draw(64),
            ted.bted(conv, strategy.draw, kernel="distance"),
        ]
        gaps.append([coverage(conv, pool, picks) for picks in arms])
    rbf, random, distance = np.mean(gaps, axis=0)
    assert rbf < random < distance


def test_constant_features_and_tiny_pools_are_no_trouble(conv):
    one = conv.sample_valid(1, np.random.default_rng(0))
    assert ted.bted(conv, lambda n: one).tolist() == one.tolist()
    assert ted.bted(conv, lambda n: one[:0]).tolist() == []
    assert np.isfinite(ted.standardised_log2(np.ones((3, 2), np.float32))).all()


@pytest.mark.parametrize("name", ["bted", "bao"])
def test_the_first_plan_is_bteds(conv, name):
    strategy: Any = search.create(name, conv, seed=4)
    twin: Any = search.create("random", conv, seed=4)  # the same random stream
    assert strategy.ask(64).tolist() == ted.bted(conv, twin.draw).tolist()
