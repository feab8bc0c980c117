import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raydgp.search.ball import Ball


def inside(space, centre, radius):
    """The ball by going through the whole space, its centre left out."""
    digits = space.digits(np.arange(space.size))
    squares = ((digits - digits[centre]) ** 2).sum(axis=1)
    return np.flatnonzero((squares <= radius**2) & (squares > 0))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 419), st.floats(0.5, 9))
def test_size_and_members_equal_brute_force(lattice, centre, radius):
    ball = Ball(lattice, centre, radius)
    expected = inside(lattice, centre, radius)
    assert ball.size == len(expected) + 1
    assert ball.members(lattice.size, np.random.default_rng(0)).tolist() == expected.tolist()


def test_a_large_ball_is_sampled_uniformly(lattice):
    ball = Ball(lattice, 200, 3.0)
    expected = inside(lattice, 200, 3.0)
    counts = np.zeros(lattice.size)
    for seed in range(600):
        members = ball.members(40, np.random.default_rng(seed))
        assert len(members) <= 40
        counts[members] += 1
    assert counts.sum() == counts[expected].sum()
    share = counts[expected] / counts[expected].mean()
    assert 0.75 < share.min() < share.max() < 1.25


def test_a_ball_beyond_memory_is_counted_and_sampled(conv):
    ball = Ball(conv, conv.default, 60.0)
    assert ball.size > 10**6
    members = ball.members(5000, np.random.default_rng(0))
    distance = np.linalg.norm(conv.digits(members) - conv.digits([conv.default]), axis=1)
    assert len(members) > 4900
    assert distance.max() <= 60
    assert distance.max() == pytest.approx(60, rel=0.05)
