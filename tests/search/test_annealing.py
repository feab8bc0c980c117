import heapq

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from raydgp.search.annealing import Schedule, TopScores, anneal


def everything(indices):
    return np.ones(len(indices), bool)


@given(st.lists(st.lists(st.integers(0, 30), max_size=12), max_size=8), st.integers(1, 6))
def test_best_equals_a_heap(rounds, n):
    """Scores are a function of the configuration, as they are within one annealing; multiples of 3 are not allowed."""
    score = np.random.default_rng(0).permutation(31).astype(float)
    best, seen = TopScores(n), set()
    for batch in rounds:
        indices = np.array(batch, np.int64)
        before = set(best.indices.tolist())
        changed = best.add(indices, score[indices], lambda i: i % 3 != 0)
        seen |= {i for i in batch if i % 3}
        expected = heapq.nlargest(n, seen, key=lambda i: score[i])
        assert best.ranked().tolist() == expected
        assert changed == (set(expected) != before)


def test_finds_the_best_of_a_space(lattice, bowl):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        found, ends = anneal(
            lattice, lambda i: bowl(lattice, i), 10, lattice.sample_valid(8, rng), rng, everything, Schedule(200, 200)
        )
        ranking = np.sort(bowl(lattice, np.arange(lattice.size)))[::-1]
        assert bowl(lattice, found[:1])[0] == ranking[0]
        assert bowl(lattice, found)[-1] >= ranking[20]
        assert len(ends) == 8


def test_never_leaves_the_valid_and_returns_only_what_is_allowed(holed):
    scored = []

    def score(indices):
        scored.append(indices)
        return indices.astype(float)

    rng = np.random.default_rng(0)
    found, ends = anneal(holed, score, 6, np.array([0, 2, 4]), rng, lambda i: i < 70)
    assert holed.valid(np.concatenate(scored)).all()
    assert holed.valid(ends).all()
    assert found.tolist() == sorted(found.tolist(), reverse=True)
    assert found.max() < 70


def test_stops_early_and_at_its_limit_of_explored(lattice):
    steps = []

    def score(indices):
        steps.append(len(indices))
        return np.zeros(len(indices))

    rng = np.random.default_rng(0)
    starts = lattice.sample_valid(10, rng)
    anneal(lattice, score, 1, starts, rng, lambda i: np.zeros(len(i), bool), Schedule(500, early_stop=30))
    assert len(steps) == 1 + 30
    steps.clear()
    anneal(lattice, score, 5, starts, rng, everything, Schedule(500, 500, max_explored=95))
    assert 95 <= sum(steps) < 95 + 10


def test_worse_moves_become_rare_as_it_cools(lattice):
    """The acceptance of a loss of 1 is exp(-1 / (t + 1e-5)): common when hot, never when cold."""

    def moved(hot):
        rng = np.random.default_rng(1)
        starts = np.zeros(4000, np.int64)
        ends = anneal(
            lattice, lambda i: -(i > 0).astype(float), 1, starts, rng, everything, Schedule(1, 9, hot=hot, cold=hot)
        )[1]
        return (ends > 0).mean()

    assert abs(moved(1.0) - np.exp(-1)) < 0.03
    assert moved(0.01) == 0


def test_without_a_start_there_is_nothing(lattice):
    found, ends = anneal(lattice, bowl, 3, np.zeros(0, np.int64), np.random.default_rng(0), everything)
    assert len(found) == len(ends) == 0


def bowl(indices):
    raise AssertionError("nothing to score")
