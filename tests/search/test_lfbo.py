import numpy as np

from raydgp import search


def needed(name, space, gflops, seed):
    """Measurements until within 2 % of the best."""
    strategy = search.create(name, space, seed)
    enough, asked = 0.98 * gflops(space, np.arange(space.size)).max(), 0
    while True:
        picks = strategy.ask(8)
        values = gflops(space, picks)
        if (values >= enough).any():
            return asked + int((values >= enough).argmax()) + 1
        asked += len(picks)
        strategy.tell(picks, values, np.ones(len(picks), bool))


def test_the_classifier_finds_the_good_ones(lattice, bowl):
    everything = bowl(lattice, np.arange(lattice.size))
    drawn = (lattice.size + 1) / ((everything >= 0.98 * everything.max()).sum() + 1)  # expected of random search
    assert np.mean([needed("lfbo", lattice, bowl, seed) for seed in range(2)]) < 0.4 * drawn


def test_a_batch_does_not_ask_the_same_thing_eight_times(lattice, bowl):
    def apart(alike):
        strategy = search.create("lfbo", lattice, alike=alike)
        first = strategy.ask(40)
        strategy.tell(first, bowl(lattice, first), np.ones(40, bool))
        digits = lattice.digits(strategy.ask(8))
        return (digits[:, None] != digits).mean()

    assert apart(1.0) > apart(0.0)


def test_what_failed_is_never_good(lattice, bowl):
    """Two sevenths run; after the plan the picks go there."""
    strategy, shares = search.create("lfbo", lattice, seed=1), []
    for _ in range(6):
        picks = strategy.ask(8)
        runs = lattice.digits(picks)[:, 2] < 2
        strategy.tell(picks, np.where(runs, bowl(lattice, picks), 0.0), runs)
        shares.append(runs.mean())
    assert np.mean(shares[3:]) > 0.55
