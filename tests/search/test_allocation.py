"""Measurements go where they shorten the model most."""

import math

import pytest

from raydgp.search.allocation import Progress, next_slices

IMPROVING = (4e-3, 3e-3, 2e-3, 1e-3)
STUCK = (1e-3,) * 4


def test_what_improves_goes_before_what_is_stuck():
    layers = {"stuck": Progress(1, STUCK, 100), "improving": Progress(1, IMPROVING, 100)}
    assert list(next_slices(layers, 8, 1)) == ["improving"]


def test_calls_count():
    layers = {"once": Progress(1, IMPROVING, 100), "often": Progress(5, IMPROVING, 100)}
    assert list(next_slices(layers, 8, 1)) == ["often"]


@pytest.mark.parametrize("best_s", [(), (math.inf,) * 3])
def test_a_layer_of_which_nothing_is_known_goes_first(best_s):
    layers = {"known": Progress(9, IMPROVING, 100), "unknown": Progress(1, best_s, 100)}
    assert list(next_slices(layers, 8, 1)) == ["unknown"]


def test_a_search_that_has_been_stuck_for_long_ends():
    assert next_slices({"a": Progress(1, (1e-3,) * 100, 500)}, 8, 4)
    assert not next_slices({"a": Progress(1, (1e-3,) * 1000, 500)}, 8, 4)


def test_no_more_than_there_is():
    layers = {"little": Progress(1, IMPROVING, 3), "spent": Progress(1, IMPROVING, 0)}
    assert next_slices(layers, 8, 4) == {"little": 3}


def test_the_gain_falls_as_the_search_goes_on():
    early, late = Progress(1, IMPROVING, 99), Progress(1, IMPROVING + (1e-3,) * 20, 99)
    assert early.gain_s(8) > late.gain_s(8) > 0


def test_a_budget_is_kept_and_the_first_is_served_first():
    layers = {"a": Progress(3, IMPROVING, 100), "b": Progress(2, IMPROVING, 100), "c": Progress(1, IMPROVING, 100)}
    assert next_slices(layers, 8, 4, left=12) == {"a": 8, "b": 4}
    assert next_slices(layers, 8, 4, left=0) == {}


def test_what_has_little_to_gain_waits():
    layers = {"large": Progress(50, IMPROVING, 100), "small": Progress(1, IMPROVING, 100)}
    assert list(next_slices(layers, 8, 4)) == ["large"]


def test_an_algorithm_far_behind_its_rival_gets_nothing():
    behind, close = Progress(1, STUCK, 100, rival_s=0.5e-3), Progress(1, IMPROVING, 100, rival_s=0.9e-3)
    assert behind.gain_s(4) == 0
    assert 0 < close.gain_s(4) < Progress(1, IMPROVING, 100).gain_s(4)
