"""What every search strategy keeps, see `raydgp.search.Strategy`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from raydgp.errors import InputError
from raydgp.search import Outcome, Search, Strategy, create
from raydgp.space import ConfigSpace, Indices
from raydgp.testing.spaces import LARGE, MEDIUM, NONE_VALID, ONE, TINY, TRACED, half_fail, smooth

Gflops = Callable[[ConfigSpace, Indices], NDArray[np.float64]]


def drive(strategy: Strategy, rounds: int, n: int = 8, gflops: Gflops = smooth) -> list[Indices]:
    """Asks and tells; what was asked, one array a round."""
    asked = []
    for _ in range(rounds):
        picks = strategy.ask(n)
        asked.append(picks)
        outcome = gflops(strategy.space, picks)
        strategy.tell(picks, outcome, outcome > 0)
    return asked


def same(one: Sequence[Indices], other: Sequence[Indices]) -> bool:
    return [a.tolist() for a in one] == [b.tolist() for b in other]


class StrategyContract:
    """Derive from it, name the class `Test...`, and define `make`; give options that keep the strategy fast."""

    def make(self, space: ConfigSpace, seed: int = 0) -> Strategy:
        """A strategy that has not been asked yet."""
        raise NotImplementedError

    @pytest.mark.parametrize("space", [LARGE, MEDIUM, TINY, TRACED], ids=["large", "medium", "tiny", "traced"])
    def test_proposals_are_new_valid_and_of_the_space(self, space: ConfigSpace) -> None:
        asked = drive(self.make(space), 8, gflops=half_fail)
        everything = np.concatenate(asked)
        assert all(picks.dtype == np.int64 and len(picks) <= 8 for picks in asked)
        assert len(asked[0]) > 0
        assert len(np.unique(everything)) == len(everything)
        assert space.valid(everything).all()

    def test_asking_without_telling_gives_others(self) -> None:
        strategy = self.make(LARGE)
        everything = np.concatenate([strategy.ask(8) for _ in range(6)])
        assert len(everything) >= 24
        assert len(np.unique(everything)) == len(everything)

    def test_the_seed_decides_all_that_is_random(self) -> None:
        strategy = self.make(LARGE)
        before = strategy.rng.bit_generator.state
        one, again, other = (drive(made, 6) for made in (strategy, self.make(LARGE), self.make(LARGE, 1)))
        assert same(one, again)
        draws = strategy.rng.bit_generator.state != before
        assert same(one, other) != draws

    def test_the_order_within_a_tell_changes_nothing(self) -> None:
        ahead, shuffled = self.make(LARGE), self.make(LARGE)
        for round_ in range(6):
            picks = ahead.ask(8)
            assert same([picks], [shuffled.ask(8)])
            order = np.random.default_rng(round_).permutation(len(picks))
            outcome = half_fail(LARGE, picks)
            ahead.tell(picks, outcome, outcome > 0)
            shuffled.tell(picks[order], outcome[order], outcome[order] > 0)

    def test_parts_late_results_and_strangers_are_taken(self) -> None:
        strategy = self.make(LARGE)
        first, second = strategy.ask(8), strategy.ask(8)
        strangers = LARGE.sample_valid(30, np.random.default_rng(5))
        strangers = strangers[~np.isin(strangers, np.concatenate([first, second]))]
        for part in (second[:3], strangers, first[4:], second[3:], first[:4]):
            strategy.tell(part, smooth(LARGE, part), np.ones(len(part), bool))
        later = np.concatenate([strategy.ask(8) for _ in range(4)])
        assert len(later)
        assert not np.isin(later, np.concatenate([first, second, strangers])).any()

    def test_what_is_told_first_counts(self) -> None:
        once, twice = self.make(LARGE), self.make(LARGE)
        for _ in range(5):
            picks = once.ask(8)
            assert same([picks], [twice.ask(8)])
            outcome = smooth(LARGE, picks)
            once.tell(picks, outcome, outcome > 0)
            twice.tell(picks, outcome, outcome > 0)
            twice.tell(picks, outcome[::-1] * 7, np.ones(len(picks), bool))

    def _reloaded(self, strategy: Strategy) -> Strategy:
        """A strategy of another seed that continues from the JSON of a state."""
        other = self.make(strategy.space, seed=99)
        other.restore(json.loads(json.dumps(strategy.state())))
        return other

    @pytest.mark.parametrize("rounds", [0, 1, 3, 5])
    def test_a_restored_strategy_goes_on_as_the_saved_one(self, rounds: int) -> None:
        strategy = self.make(LARGE)
        drive(strategy, rounds)
        twin = self._reloaded(strategy)
        assert same(drive(strategy, 4), drive(twin, 4))

    def test_state_may_be_taken_amid_a_batch(self) -> None:
        strategy = self.make(LARGE)
        drive(strategy, 3)
        picks = strategy.ask(8)
        outcome = smooth(LARGE, picks)
        strategy.tell(picks[:3], outcome[:3], outcome[:3] > 0)
        twin = self._reloaded(strategy)
        for one in (strategy, twin):
            one.tell(picks[3:], outcome[3:], outcome[3:] > 0)
        assert same(drive(strategy, 3), drive(twin, 3))

    def test_saving_changes_nothing(self) -> None:
        plain, saved = self.make(LARGE), self.make(LARGE)
        for _ in range(5):
            json.dumps(saved.state())
            assert same(drive(plain, 1), drive(saved, 1))

    def test_state_of_another_space_is_refused(self) -> None:
        with pytest.raises(InputError, match="space"):
            self.make(LARGE).restore(self.make(TINY).state())

    def test_indices_of_another_space_are_refused(self) -> None:
        with pytest.raises(InputError, match="index"):
            self.make(TINY).tell(np.array([TINY.size]), np.ones(1), np.ones(1, bool))

    def test_a_small_space_is_used_up_and_then_ends(self) -> None:
        strategy = self.make(TINY)
        asked = np.concatenate(drive(strategy, TINY.size + 2, n=16))
        assert len(strategy.ask(4)) == 0
        if strategy.exhaustive:
            assert sorted(asked) == np.flatnonzero(TINY.valid(np.arange(TINY.size))).tolist()

    def test_nothing_valid_ends_at_once(self) -> None:
        assert len(self.make(NONE_VALID).ask(8)) == 0

    def test_one_configuration_is_a_space(self) -> None:
        assert drive(self.make(ONE), 2)[0].tolist() == [0]

    @pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -1.0])
    def test_a_search_in_which_nothing_runs_goes_on(self, value: float) -> None:
        strategy = self.make(LARGE)
        drive(strategy, 6, gflops=lambda space, indices: np.full(len(indices), value))
        assert getattr(strategy, "best", None) is None
        assert len(strategy.ask(8)) > 0

    def test_an_ask_for_nothing_is_answered_with_nothing(self) -> None:
        assert len(self.make(LARGE).ask(0)) == 0

    def test_one_that_learns_gains_by_what_it_is_told(self) -> None:
        """More than by the opposite; and one that is not bound to a neighbourhood more than random search."""
        told, misled = ([_search(self.make(LARGE, seed), sign) for seed in range(3)] for sign in (1, -1))
        if same([asked for asked, _ in told], [asked for asked, _ in misled]):
            pytest.skip("its proposals do not depend on what it is told")
        found = np.median([best for _, best in told])
        assert found > np.median([best for _, best in misled])
        if self.make(LARGE).exhaustive:
            assert found > 1.1 * np.median([_search(create("random", LARGE, seed))[1] for seed in range(3)])


def _search(strategy: Strategy, sign: int = 1) -> tuple[Indices, float]:
    """What a search of 160 measurements asks for, and the best GFLOPS of it; with sign -1 it is told the opposite."""
    loop, asked = Search(strategy, trials=160, batch=32), np.zeros(0, np.int64)
    while len(picks := loop.ask()):
        asked = np.concatenate([asked, picks])
        gflops = smooth(LARGE, picks)
        told = gflops if sign > 0 else 1 / (1 + gflops)
        loop.tell([Outcome.of(int(i), float(g)) for i, g in zip(picks, told, strict=True)])
    return asked, float(smooth(LARGE, asked).max(initial=0.0))
