import numpy as np

from raydgp import search


def test_grid_goes_through_the_valid_ones_in_order(holed):
    strategy = search.create("grid", holed)
    asked = np.concatenate([strategy.ask(n) for n in (3, 1, 7, 50)])
    assert asked.tolist() == [i for i in range(holed.size) if holed.valid(np.array([i]))[0]]


def test_grid_skips_what_was_told(holed):
    strategy = search.create("grid", holed)
    strategy.tell(np.array([0, 4]), np.ones(2), np.ones(2, bool))
    assert strategy.ask(3).tolist() == [2, 6, 8]


def test_random_is_not_in_order(conv):
    picks = search.create("random", conv).ask(100)
    assert (np.diff(picks) < 0).any()
    assert np.ptp(picks) > conv.size / 2
