"""Searches that know the kernel from other devices: used where that helps, left where it does not."""

import json

import numpy as np
import pytest

from raydgp import search
from tests.support.recordings import kernel, recording

SPACE = kernel("k", **{name: list(range(1, size + 1)) for name, size in zip("abcd", (8, 6, 9, 4), strict=True)})


def seconds(centre):
    """A bowl of odd options for every device: the best is where its centre is."""
    off = (SPACE.digits(np.arange(SPACE.size)) - np.array(centre)) / np.array([4, 3, 4, 2])
    odd = np.random.default_rng(1).uniform(0, 0.6, SPACE.size)
    return np.exp((off**2).sum(axis=1) + np.where((off == 0).all(axis=1), 0, 0.05 + odd))


HERE = seconds([5, 2, 6, 1])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Recordings of devices that are like this one, and of one whose times are dealt out at random."""
    out = tmp_path_factory.mktemp("elsewhere")
    odd = np.random.default_rng(0).permutation(HERE)
    tables = {"like": seconds([5, 3, 6, 1]), "alike": seconds([4, 2, 6, 1]), "odd": odd}
    return {name: recording(out, name, SPACE, times_s) for name, times_s in tables.items()}


def needed(strategy):
    """Measurements until the best."""
    asked = 0
    while len(picks := strategy.ask(8)):
        if (HERE[picks] == HERE.min()).any():
            return asked + int(HERE[picks].argmin()) + 1
        asked += len(picks)
        strategy.tell(picks, 1 / HERE[picks], np.ones(len(picks), bool))
    return np.inf


def test_the_portfolio_measures_in_the_others_order_and_then_at_random(files):
    strategy = search.create("portfolio", SPACE, elsewhere=[files["like"], files["alike"]])
    first = strategy.ask(5)
    mean = sum(table / table.min() for table in (seconds([5, 3, 6, 1]), seconds([4, 2, 6, 1])))
    assert first.tolist() == np.argsort(mean, kind="stable")[:5].tolist()
    everything = np.concatenate([first, *(strategy.ask(400) for _ in range(6))])
    assert sorted(everything) == list(range(SPACE.size))
    assert len(search.create("portfolio", SPACE).ask(3)) == 3  # without others, draws


def test_dgp_plus_starts_where_other_devices_were_fast(files):
    told = [files["like"], files["alike"]]
    with_others = [needed(search.create("dgp+", SPACE, seed, elsewhere=told)) for seed in range(3)]
    alone = [needed(search.create("dgp+", SPACE, seed)) for seed in range(3)]
    assert np.median(with_others) < 0.5 * np.median(alone)
    assert "2 others" in search.create("dgp+", SPACE, elsewhere=told).start


def test_dgp_plus_leaves_what_misleads(files):
    misled = [needed(search.create("dgp+", SPACE, seed, elsewhere=[files["odd"]])) for seed in range(3)]
    alone = [needed(search.create("dgp+", SPACE, seed)) for seed in range(3)]
    assert np.median(misled) < 2.5 * np.median(alone)


def test_a_search_with_others_goes_on_from_its_state(files):
    def told(strategy, rounds):
        for _ in range(rounds):
            picks = strategy.ask(8)
            strategy.tell(picks, np.where(picks % 5 == 0, 0, 1 / HERE[picks]), picks % 5 != 0)
        return strategy

    one, other = (search.create("dgp+", SPACE, 3, elsewhere=[files["like"]]) for _ in range(2))
    other.restore(json.loads(json.dumps(told(one, 3).state())))
    assert [told(one, 1).ask(8).tolist() for _ in range(2)] == [told(other, 1).ask(8).tolist() for _ in range(2)]
