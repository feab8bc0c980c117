from typing import Any

import numpy as np
import pytest

from raydgp import search


def run(strategy, space, gflops, n=16, samples=None):
    asked = []
    while len(picks := strategy.ask(n)):
        asked += picks.tolist()
        values = gflops(space, picks)
        strategy.tell(picks, values, np.ones(len(picks), bool), samples(values) if samples else None)
    return asked


def test_starts_at_the_first_options_and_comes_down_to_the_optimum(lattice, bowl):
    strategy: Any = search.create("droplet", lattice)
    asked = run(strategy, lattice, bowl, n=8)
    assert asked[0] == 0
    assert strategy.best[0] == np.argmax(bowl(lattice, np.arange(lattice.size)))
    assert len(asked) < lattice.size / 2


def test_neighbours_are_one_knob_away_at_a_growing_distance_then_two(lattice):
    strategy: Any = search.create("droplet", lattice)
    strategy.ask(1)
    digits = lattice.digits(strategy.ask(int((lattice.radix - 1).sum()) + 3))
    ones = digits[:-3]
    assert ((ones > 0).sum(axis=1) == 1).all()
    assert (np.diff(ones.sum(axis=1)) >= 0).all()
    assert ((digits[-3:] > 0).sum(axis=1) == 2).all()


def test_a_gain_within_the_noise_is_not_followed(lattice, bowl):
    """Repeats that differ by far more than configurations do: the first outcome stays the centre."""

    def noisy(values):
        return [[v * 0.01, v * 1.99] for v in values]

    strategy: Any = search.create("droplet", lattice)
    run(strategy, lattice, bowl, n=8, samples=noisy)
    assert strategy.centre == 0
    quiet: Any = search.create("droplet", lattice)
    run(quiet, lattice, bowl, n=8, samples=lambda values: [[v * 0.9999, v * 1.0001] for v in values])
    assert quiet.centre == quiet.best[0]


@pytest.mark.parametrize("pvalue", [0.01, 0.4])
def test_the_p_value_decides(lattice, pvalue):
    strategy: Any = search.create("droplet", lattice, pvalue=pvalue)
    start, *_ = strategy.ask(1)
    strategy.tell(np.array([start]), np.array([10.0]), np.ones(1, bool), [[9.0, 10.0, 11.0]])
    pick = strategy.ask(1)
    strategy.tell(pick, np.array([11.0]), np.ones(1, bool), [[10.0, 11.0, 12.0]])  # p = 0.29
    strategy.ask(1)
    assert (strategy.centre == pick[0]) == (pvalue > 0.29)


def test_a_failed_start_is_left_for_anything_that_runs(lattice):
    strategy: Any = search.create("droplet", lattice)
    start = strategy.ask(1)
    strategy.tell(start, np.zeros(1), np.zeros(1, bool))
    pick = strategy.ask(1)
    strategy.tell(pick, np.ones(1), np.ones(1, bool))
    strategy.ask(1)
    assert strategy.centre == pick[0]


def test_draws_at_random_until_something_runs(conv):
    """Far from the start, blocks of fewer than 64 threads do not run."""

    def gflops(space, indices):
        c = space.columns(indices)
        threads = c["tile_f"][:, 2] * c["tile_y"][:, 2] * c["tile_x"][:, 2]
        return np.where(threads < 64, 0.0, 100.0 - np.abs(np.log2(threads) - 8))

    strategy: Any = search.create("droplet", conv)
    for _ in range(16):
        picks = strategy.ask(8)
        values = gflops(conv, picks)
        strategy.tell(picks, values, values > 0)
    assert strategy.best[1] > 98
