from typing import Any

import numpy as np
import pytest

from raydgp import search
from raydgp.search.adaptive_sampling import representatives, synthesised
from raydgp.search.annealing import TopScores


def everything(indices):
    return np.ones(len(indices), bool)


def clumps(lattice, rng, per_clump=8):
    """Candidates around four far corners of the lattice."""
    corners = np.array([[0, 0, 0, 0], [5, 4, 6, 1], [0, 4, 0, 1], [5, 0, 6, 0]])
    digits = np.repeat(corners, per_clump, axis=0)
    digits[:, :3] += rng.integers(-1, 2, size=(len(digits), 3))
    return np.unique(lattice.from_digits(np.clip(digits, 0, lattice.radix - 1)))


def test_well_separated_candidates_are_represented_by_few(lattice):
    rng = np.random.default_rng(0)
    candidates = clumps(lattice, rng)
    picks = representatives(lattice, candidates, everything, knee=2.5, step=4, rng=rng)
    assert 4 <= len(picks) <= 8 < len(candidates)
    assert len(np.unique(picks)) == len(picks)
    corners = lattice.digits(picks)[:, :3] > np.array([2, 2, 3])
    assert len(np.unique(corners, axis=0)) == 4


def test_what_may_not_be_measured_is_replaced_by_the_mode(lattice):
    rng = np.random.default_rng(1)
    candidates = clumps(lattice, rng)
    mode = synthesised(lattice, lattice.digits(candidates))
    picks = representatives(lattice, candidates, lambda i: i == mode, 2.5, 4, rng)
    assert mode in picks
    assert np.isin(picks, [*candidates.tolist(), mode]).all()


def test_the_mode_is_each_knobs_most_frequent_option(lattice):
    digits = np.array([[1, 2, 3, 0], [1, 4, 3, 1], [5, 2, 6, 1]])
    assert lattice.digits([synthesised(lattice, digits)])[0].tolist() == [1, 2, 3, 1]


def test_fewer_candidates_than_clusters_are_all_measured(lattice):
    candidates = np.array([7, 100, 300])
    picks = representatives(lattice, candidates, everything, 2.5, 8, np.random.default_rng(0))
    assert sorted(picks) == candidates.tolist()


def test_agents_find_better_configurations_than_their_starts(lattice, bowl):
    strategy: Any = search.create("chameleon", lattice, episodes=64, wave=8, learning_rate=1e-2, entropy=0.05)

    def score(indices):
        return bowl(lattice, indices)

    means = []
    for _ in range(6):
        starts = lattice.sample_valid(16, strategy.rng)
        episodes = strategy.walked(starts, score, TopScores(4))
        means.append(episodes.rewards[episodes.alive].mean())
        strategy.agent.learn(episodes, strategy.rng)
    assert np.mean(means[-2:]) > 1.2 * bowl(lattice, np.arange(lattice.size)).mean()


def test_an_episode_ends_when_its_knobs_settle(lattice, bowl):
    strategy: Any = search.create("chameleon", lattice, steps=40)
    starts = lattice.sample_valid(32, strategy.rng)
    episodes = strategy.walked(starts, lambda i: bowl(lattice, i), TopScores(4))
    lengths = episodes.alive.sum(axis=0)
    assert lengths.max() <= 40
    unchanged = (episodes.states[1:] == episodes.states[:-1]).mean(axis=2) >= 0.75
    for e, length in enumerate(lengths.tolist()):
        assert episodes.alive[:length, e].all()
        assert not unchanged[: length - 1, e].any()


@pytest.mark.parametrize("name", ["holed", "conv"])  # one scored as a whole, one too large for that
def test_scores_are_the_models_and_0_where_invalid(name, request):
    space = request.getfixturevalue(name)

    class ByFirstFeature:
        def predict(self, features):
            return features[:, 0].astype(float) + 1

    strategy: Any = search.create("chameleon", space)
    valid = space.sample_valid(3, np.random.default_rng(0))
    invalid = np.flatnonzero(~space.valid(np.arange(1000 if space.size > 1000 else space.size)))[:2]
    indices = np.concatenate([valid, invalid, valid[:1]])
    expected = np.where(space.valid(indices), space.features(indices)[:, 0] + 1, 0)
    assert (expected == 0).sum() == 2
    np.testing.assert_array_equal(strategy.scores_of(ByFirstFeature())(indices), expected)
