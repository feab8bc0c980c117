import numpy as np
import pytest

from raydgp import search
from raydgp.search.committee import TURNS, picked
from raydgp.surrogates.task_gp import TaskGP


@pytest.fixture
def model():
    x = np.linspace(-1, 1, 9)[:, None]
    return TaskGP(x, -np.square(x[:, 0] - 0.5))


CANDIDATES = np.linspace(-3, 3, 61)[:, None]
TREES = -np.abs(CANDIDATES[:, 0] + 2)


def picks(model, turns, near=(), optimism=1.0, pinned=lambda: np.ones(61, bool)):
    return CANDIDATES[picked(model, CANDIDATES, TREES, list(near), pinned, turns, optimism), 0]


def test_each_picks_what_it_ranks_first(model):
    assert picks(model, [TURNS.index("process")], optimism=0.0) == pytest.approx(0.5, abs=0.11)
    assert picks(model, [TURNS.index("trees")]) == pytest.approx(-2)


def test_near_turns_go_round_the_basins(model):
    basins = [np.abs(CANDIDATES[:, 0] - centre) < 0.35 for centre in (-2, 0, 2)]
    found = picks(model, [turn for turn in range(24) if TURNS[turn % 8] == "near"], basins)
    assert np.round(found).tolist() == [-2, 0, 2] * 2


def test_pinned_turns_look_where_they_are_told(model):
    drawn = [CANDIDATES[:, 0] > 2.5, CANDIDATES[:, 0] < -2.5, np.zeros(61, bool)]
    masks = iter(drawn)
    found = picks(model, [turn for turn in range(12) if TURNS[turn % 8] == "pinned"], pinned=lambda: next(masks))
    assert found[0] > 2.5
    assert found[1] < -2.5
    assert len(found) == 3


def test_picks_are_distinct_and_a_spent_basin_is_left(model):
    only = [np.arange(61) == 30]
    found = picks(model, range(61), only)
    assert len(set(found)) == 61
    assert len(picks(model, range(100))) == 61


def test_optimism_goes_where_nothing_is_known(model):
    assert np.abs(picks(model, [0], optimism=6.0)) > 1.5


def test_dgp_plus_leaves_a_wide_basin_for_a_narrow_better_one(lattice):
    """The broad hill ends at 0.8; the peak is in another corner, and only its close neighbours tell of it."""

    def gflops(space, indices):
        digits = space.digits(indices)
        hill = 0.8 - 0.05 * np.abs(digits - [1, 1, 1, 0]).sum(axis=1)
        peak = 1.0 - 0.15 * (digits != [5, 4, 6, 1]).sum(axis=1)
        return 100 * np.maximum(np.maximum(hill, peak), 0.05)

    needed = {name: [reached(name, lattice, gflops, seed) for seed in range(3)] for name in ("dgp+", "random")}
    assert np.median(needed["dgp+"]) < 0.5 * np.median(needed["random"])
    assert max(needed["dgp+"]) < lattice.size


def reached(name, space, gflops, seed):
    """Measurements until the best."""
    strategy = search.create(name, space, seed, preset="small")
    best, asked = gflops(space, np.arange(space.size)).max(), 0
    while True:
        found = strategy.ask(8)
        values = gflops(space, found)
        if (values == best).any():
            return asked + int(values.argmax()) + 1
        asked += len(found)
        strategy.tell(found, values, np.ones(len(found), bool))
