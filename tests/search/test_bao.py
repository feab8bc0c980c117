from typing import Any

import numpy as np
import pytest

from raydgp import search
from raydgp.search import bao


@pytest.fixture
def balls(monkeypatch):
    """(centre, radius) of every ball that was looked at."""
    seen = []

    class Recording(bao.Ball):
        def __init__(self, space, centre, radius):
            seen.append((int(centre), radius))
            super().__init__(space, centre, radius)

    monkeypatch.setattr(bao, "Ball", Recording)
    return seen


def started(space, values, **options):
    """A BAO whose start of 8 had the given best outcome."""
    strategy: Any = search.create("bao", space, picks=8, pool=50, batches=1, rounds=5, **options)
    picks = strategy.ask(8)
    strategy.tell(picks, np.linspace(1, values, 8), np.ones(8, bool))
    return strategy, int(picks[-1])


def step(strategy, value):
    pick = strategy.ask(1)
    strategy.tell(pick, np.array([value]), np.array([value > 0]))
    return int(pick[0])


@pytest.mark.parametrize(
    ("outcomes", "radii"),
    [
        ([20, 40, 80], [3, 3, 3, 3]),  # gains of one half each
        ([20, 20.5, 21], [3, 3, 4.5, 4.5]),  # below 5 %
        ([20, 15, 30], [3, 3, 4.5, 3]),  # a loss enlarges too
        ([20, 0, 30], [3, 3, 4.5, 3]),  # a failed step counts as no gain
        ([9, 20, 20], [3, 4.5, 3, 4.5]),  # the first step is compared with the best of the start
    ],
)
def test_equation_1_decides_the_radius(conv, balls, outcomes, radii):
    strategy, _ = started(conv, 10.0)
    for value in outcomes:
        step(strategy, value)
    strategy.ask(1)
    assert [radius for _, radius in balls] == radii


@pytest.mark.parametrize("centre", ["last", "best"])
def test_the_centre_is_the_last_step_or_the_best(conv, balls, centre):
    strategy, best = started(conv, 10.0, centre=centre)
    first = step(strategy, 50.0)
    second = step(strategy, 4.0)
    strategy.ask(1)
    assert [c for c, _ in balls] == [best, first, second if centre == "last" else first]


def test_a_step_of_many_is_its_best_one(conv, balls):
    strategy, _ = started(conv, 10.0)
    picks = strategy.ask(6)
    strategy.tell(picks, np.array([1.0, 2, 30, 4, 5, 6]), np.ones(6, bool))
    strategy.ask(6)
    assert balls[-1][0] == picks[2]


def test_proposals_are_within_the_ball(conv, balls):
    strategy, _ = started(conv, 10.0)
    for value in (20, 20, 30, 30):
        pick = step(strategy, value)
        centre, radius = balls[-1]
        assert np.linalg.norm(conv.digits([pick]) - conv.digits([centre])) <= radius


def test_an_empty_ball_is_doubled_until_the_space_is_used_up(holed, balls):
    strategy: Any = search.create("bao", holed, picks=8, pool=20, batches=1, rounds=5, radius=1.0)
    asked = []
    while len(picks := strategy.ask(4)):
        asked += picks.tolist()
        strategy.tell(picks, picks + 1.0, np.ones(len(picks), bool))
    assert sorted(asked) == np.flatnonzero(holed.valid(np.arange(holed.size))).tolist()
    radii = {radius for _, radius in balls}
    assert {1.0, 2.0, 4.0} <= radii | {1.5, 3.0, 6.0}
    assert max(radii) >= 4


def test_a_sampled_ball_is_enough(conv, bowl):
    strategy, _ = started(conv, 10.0, neighbours=50)
    assert len(strategy.ask(8)) == 8
