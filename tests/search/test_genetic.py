from typing import Any

import numpy as np

from raydgp import search


def test_children_are_made_of_their_parents(lattice):
    """One-point crossovers of two parents that differ in every knob, but for those that a repair had to move."""
    strategy: Any = search.create("genetic", lattice, population=12, mutation=0.0)
    low, high = np.array([0, 0, 0, 0]), np.array([5, 4, 6, 1])
    crossings = [np.where(np.arange(4) < cut, *pair) for cut in range(1, 4) for pair in ((low, high), (high, low))]
    children = strategy.offspring(lattice.from_digits(np.stack([low, high])), np.array([1.0, 1.0]))
    assert np.isin(lattice.from_digits(np.stack(crossings)), children).sum() >= 3
    assert len(np.unique(children)) == len(children) <= 12


def test_parents_are_two_different_ones_in_proportion_to_their_weight(lattice):
    strategy: Any = search.create("genetic", lattice)
    mother, father = strategy.pairs(np.array([0.5, 0.25, 0.25]), 40_000)
    assert (mother != father).all()
    # both of a pair: 1/2 x 1/2 + 1/4 x 2/3 + 1/4 x 1/3 of the first two draws leave option 0 out with probability 1/6
    assert abs((mother == 0).mean() + (father == 0).mean() - 5 / 6) < 0.01


def test_the_elite_stays_among_the_parents(lattice, bowl):
    strategy: Any = search.create("genetic", lattice, population=8, elite=2)
    for _ in range(6):
        picks = strategy.ask(8)
        strategy.tell(picks, bowl(lattice, picks), np.ones(8, bool))
    strategy.ask(1)
    assert strategy.best[0] in strategy.elders
    assert len(strategy.elders) == 2


def test_it_climbs(lattice, bowl):
    strategy: Any = search.create("genetic", lattice, population=10)
    for _ in range(9):
        picks = strategy.ask(10)
        strategy.tell(picks, bowl(lattice, picks), np.ones(10, bool))
    assert bowl(lattice, strategy.told[-40:]).mean() > 1.3 * bowl(lattice, strategy.told[:10]).mean()
