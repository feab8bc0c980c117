import json

import numpy as np
import pytest

from raydgp import search
from raydgp.errors import InputError
from raydgp.search import Outcome, Search


def outcomes(indices):
    return np.asarray(indices) % 97 + 1.0


def tell(loop, picks, gflops, valid=True, samples=()):
    rows = np.stack(np.broadcast_arrays(picks, gflops, valid), axis=1)
    samples = samples or [()] * len(picks)
    loop.tell([Outcome.of(int(i), g, ok, s) for (i, g, ok), s in zip(rows, samples, strict=True)])


def tell_all(loop, picks):
    tell(loop, picks, outcomes(picks))


def make(space, trials=40, batch=8, name="random", seed=3):
    return Search(search.create(name, space, seed), trials, batch)


def test_the_default_is_measured_first_and_only_once(conv):
    for name in ("random", "grid"):
        loop = make(conv, 40, name=name)
        asked = []
        while len(picks := loop.ask()):
            asked += picks.tolist()
            tell_all(loop, picks)
        assert asked[0] == conv.default
        assert len(set(asked)) == len(asked) == 40
        assert loop.done


def test_the_default_is_not_asked_again_by_a_strategy_that_comes_upon_it(lattice):
    loop = make(lattice, trials=1000, batch=16, name="grid")  # the default is index 0, the first of the grid
    asked = []
    while len(picks := loop.ask()):
        asked += picks.tolist()
        tell_all(loop, picks)
    assert sorted(asked) == list(range(lattice.size))
    assert loop.measured == lattice.size
    assert not loop.done


def test_batches_and_budget(conv):
    loop = make(conv, trials=20, batch=8)
    sizes = [len(loop.ask()) for _ in range(4)]
    assert sizes == [8, 8, 4, 0]
    assert not loop.done


def test_best_and_counts(conv):
    loop = make(conv)
    picks = loop.ask()
    gflops = np.array([5.0, np.nan, 9.0, np.inf, 7.0, 0.0, -3.0, 50.0])
    valid = np.array([True] * 7 + [False])
    tell(loop, picks, gflops, valid)
    assert loop.best == (picks[2], 9.0)
    assert (loop.measured, loop.failed) == (8, 5)


def test_what_comes_twice_late_or_unasked_counts_once(conv):
    loop = make(conv)
    picks = loop.ask()
    tell_all(loop, picks[:3])
    tell(loop, picks[:3], 1e6)
    tell_all(loop, picks[3:])
    tell(loop, picks, 1e6)
    assert loop.measured == 8
    assert loop.best[1] == outcomes(picks).max()
    stranger = np.setdiff1d(conv.sample_valid(9, np.random.default_rng(0)), picks)[:1]
    tell(loop, stranger, 1e6)
    assert loop.measured == 8
    assert loop.best[1] < 1e6
    assert loop.strategy.best == (stranger[0], 1e6)


@pytest.mark.parametrize("name", ["genetic", "bao"])
def test_the_order_in_which_outcomes_arrive_changes_no_ask(conv, name):
    """Whatever the order in which the outcomes of two batches in flight arrive, the third batch is the same."""

    def third(order):
        loop = Search(search.create(name, conv, 3, preset="small"), 64, 8)
        picks = np.concatenate([loop.ask(), loop.ask(), loop.ask()])
        for at in order:
            tell_all(loop, picks[[at]])
        return loop.ask().tolist()

    rng = np.random.default_rng(0)
    assert third(range(24)) == third(rng.permutation(24)) == third(reversed(range(24)))


def test_in_parallel_half_as_much_is_out_as_is_known_and_all_that_has_come_is_learnt(conv):
    strategy = search.create("genetic", conv, 3, preset="small")
    loop = Search(strategy, 64, 4, in_order=False)
    rng, out = np.random.default_rng(0), np.zeros(0, np.int64)
    while len(out) or loop.measured == 0:
        while len(picks := loop.ask()):
            assert len(strategy.state()["told"]) == loop.measured
            out = np.concatenate([out, picks])
            assert len(out) <= max(8, loop.measured / 2)
        assert loop.waits == (loop.measured + len(out) < 64)  # of the budget
        came = rng.permutation(out)[: rng.integers(1, 4)]
        tell_all(loop, came)
        out = np.setdiff1d(out, came)
    assert loop.done


def test_a_restored_search_goes_on_as_the_saved_one(conv):
    loop = make(conv, name="genetic")
    tell_all(loop, loop.ask())
    picks = loop.ask()
    tell_all(loop, picks[:5])
    twin = make(conv, name="genetic", seed=77)
    twin.restore(json.loads(json.dumps(loop.state())))
    for one in (loop, twin):
        tell_all(one, picks[5:])
    while len(picks := loop.ask()):
        assert picks.tolist() == twin.ask().tolist()
        tell_all(loop, picks)
        tell_all(twin, picks)
    assert len(twin.ask()) == 0
    assert (loop.best, loop.measured, loop.failed) == (twin.best, twin.measured, twin.failed)


def test_repeats_reach_the_strategy(conv):
    loop = make(conv, name="droplet")
    picks = loop.ask()
    samples = [[float(i), float(i) + 1] for i in range(8)]
    tell(loop, picks[::-1], np.arange(8.0)[::-1] + 0.5, samples=samples[::-1])
    by_index = dict(zip(loop.strategy.told.tolist(), loop.strategy.samples, strict=True))
    assert [by_index[i] for i in picks.tolist()] == samples


def test_a_default_that_is_invalid_is_left_out(holed):
    broken = search.create("random", holed)
    broken.space.default = 1  # a + b is odd
    try:
        assert 1 not in Search(broken, 10, 10).ask()
    finally:
        broken.space.default = 0


def test_points_come_right_after_the_default_and_only_once(conv):
    points = conv.sample_valid(5, np.random.default_rng(1)).tolist()
    invalid = np.flatnonzero(~conv.valid(np.arange(1000)))[:1].tolist()
    loop = Search(search.create("random", conv, 3), 40, 4, [*points, points[0], *invalid])
    asked = loop.ask().tolist() + loop.ask().tolist()
    assert asked[:6] == [conv.default, *points]
    with pytest.raises(InputError, match="outside"):
        Search(search.create("random", conv, 3), 40, 4, [conv.size])


def test_a_state_of_before_the_points_moved_is_read(conv):
    """Up to 0.1 the strategy's state lay within that of the points."""
    points = conv.sample_valid(5, np.random.default_rng(1)).tolist()
    loop = Search(search.create("genetic", conv, 3), 40, 4, points)
    tell_all(loop, loop.ask())
    state = loop.state()
    old = {key: value for key, value in state.items() if key != "points"}
    for held in ({**old, "strategy": {"points": state["points"], "strategy": state["strategy"]}}, state):
        twin = Search(search.create("genetic", conv, 3), 40, 4, points)
        twin.restore(json.loads(json.dumps(held)))
        assert twin.ask().tolist()[:2] == points[3:]
