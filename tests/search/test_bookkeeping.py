from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from raydgp import search


def test_draw_is_fresh_distinct_and_leaves_out(holed):
    strategy: Any = search.create("random", holed)
    asked = strategy.ask(20)
    rest = strategy.draw(100)
    assert len(rest) == len(set(rest.tolist())) == 41 - 20
    assert not np.isin(rest, asked).any()
    assert set(strategy.draw(100, without=rest[:5]).tolist()) == set(rest[5:].tolist())


def test_draw_is_uniform(holed):
    counts = np.zeros(holed.size)
    for seed in range(400):
        strategy: Any = search.create("random", holed, seed)
        counts[strategy.draw(10)] += 1
    valid = holed.valid(np.arange(holed.size))
    assert counts[~valid].sum() == 0
    expected = 400 * 10 / valid.sum()
    chi_square = ((counts[valid] - expected) ** 2 / expected).sum()
    assert chi_square < 80  # 40 degrees of freedom: passed by chance with p = 2e-4


@given(st.lists(st.tuples(st.integers(0, 80), st.sampled_from([0.0, 1.0, 2.5, np.nan, -1.0, np.inf]), st.booleans())))
def test_bookkeeping_equals_a_dictionary(holed, outcomes):
    strategy: Any = search.create("random", holed)
    oracle: dict[int, float] = {}
    for index, gflops, valid in outcomes:
        strategy.tell(np.array([index]), np.array([gflops]), np.array([valid]))
        oracle.setdefault(index, gflops if valid and np.isfinite(gflops) and gflops > 0 else 0.0)
    assert dict(zip(strategy.told.tolist(), strategy.gflops.tolist(), strict=True)) == oracle
    everything = np.arange(holed.size)
    assert strategy.unvisited(everything).tolist() == [i not in oracle for i in range(holed.size)]
    best = max(oracle.values(), default=0.0)
    assert strategy.best is None if best == 0 else strategy.best[1] == best


def test_of_two_outcomes_in_one_tell_the_lower_counts(holed):
    for values in ([3.0, 2.0], [2.0, 3.0]):
        strategy: Any = search.create("random", holed)
        strategy.tell(np.array([4, 4]), np.array(values), np.ones(2, bool))
        assert strategy.best == (4, 2.0)
