"""What every search strategy keeps (raydgp/search/base.py), over all of `search.names()`."""

import json

import numpy as np
import pytest

from raydgp import Conv2d, Dense, DepthwiseConv2d, config_space, search
from raydgp.errors import InputError
from raydgp.search import Outcome
from raydgp.space import ConfigSpace, choice
from raydgp.workloads import TracedKernel

RESNET_LAYER = Conv2d(n=1, ci=128, h=28, w=28, co=128, kh=3, kw=3, stride=(1, 1), padding=(1, 1))
LARGE = config_space(RESNET_LAYER, "cuda")
MEDIUM = config_space(DepthwiseConv2d(n=1, ci=8, h=8, w=8, kh=3, kw=3), "cuda")
TINY = config_space(Dense(n=1, k=64, m=64), "cuda")
_TILE = {"name": "tile", "tile": 64, "parts": 3, "widest": 16}
_SKETCHES = [
    {"trace": [[], [[0, [4, 1, 16]], [1, 0]]], "knobs": [_TILE, {"name": "unroll", "choice": [0, 16, 64]}]},
    {"trace": [[], [[0, [4, 1, 16]], [1, -1]]], "knobs": [_TILE, {"name": "place", "place": [-2, -1, 3]}]},
]
SKETCHED = config_space(TracedKernel(name="pool", code="", sketches=json.dumps(_SKETCHES), operations=10**6), "llvm")
NAMES = search.names()

# Settings that keep the suite fast; every strategy must also live with plans shorter and longer than a batch.
FAST = {"chains": 16, "iterations": 30, "rounds": 20, "pool": 60, "batches": 2, "episodes": 8, "steps": 20}
FAST |= {"epochs": 10, "explored": 500, "tolerance": 0.0}


def make(name, space, seed=0):
    known = search.describe(name)
    fast = {key: value for key, value in FAST.items() if key in known}
    return search.create(name, space, seed, preset="small", **fast)


def smooth(space, indices):
    """GFLOPS with one broad peak in the log of the features."""
    x = np.log2(1 + space.features(indices))
    peak = np.linspace(0.5, 3, x.shape[1])
    return 100 * np.exp(-0.08 * ((x - peak) ** 2).sum(axis=1))


def drive(strategy, rounds, n=8, gflops=smooth):
    """Asks and tells; what was asked, one array a round."""
    asked = []
    for _ in range(rounds):
        picks = strategy.ask(n)
        asked.append(picks)
        outcome = gflops(strategy.space, picks)
        strategy.tell(picks, outcome, outcome > 0)
    return asked


def half_fail(space, indices):
    return np.where(indices % 2, smooth(space, indices), 0.0)


def reloaded(name, space, strategy, seed=99):
    """A strategy of another seed that continues from the JSON of a state."""
    other = make(name, space, seed)
    other.restore(json.loads(json.dumps(strategy.state())))
    return other


def same(one, other):
    assert [a.tolist() for a in one] == [b.tolist() for b in other]


@pytest.mark.parametrize("name", NAMES)
class TestEveryStrategy:
    @pytest.mark.parametrize("space", [LARGE, MEDIUM, TINY, SKETCHED], ids=["large", "medium", "tiny", "sketched"])
    def test_proposals_are_new_valid_and_of_the_space(self, name, space):
        asked = drive(make(name, space), 8, gflops=half_fail)
        everything = np.concatenate(asked)
        assert all(picks.dtype == np.int64 and len(picks) <= 8 for picks in asked)
        assert len(asked[0]) > 0
        assert len(np.unique(everything)) == len(everything)
        assert space.valid(everything).all()

    def test_asking_without_telling_gives_others(self, name):
        strategy = make(name, LARGE)
        everything = np.concatenate([strategy.ask(8) for _ in range(6)])
        assert len(everything) >= 24
        assert len(np.unique(everything)) == len(everything)

    def test_the_same_seed_proposes_the_same_and_another_does_not(self, name):
        one, same_seed, other = (drive(make(name, LARGE, seed), 6) for seed in (0, 0, 1))
        same(one, same_seed)
        if name != "grid" and name != "droplet":  # these draw nothing
            assert any(a.tolist() != b.tolist() for a, b in zip(one, other, strict=True))

    def test_the_order_within_a_tell_changes_nothing(self, name):
        ahead, shuffled = make(name, LARGE), make(name, LARGE)
        for round_ in range(6):
            picks = ahead.ask(8)
            same([picks], [shuffled.ask(8)])
            order = np.random.default_rng(round_).permutation(len(picks))
            outcome = half_fail(LARGE, picks)
            ahead.tell(picks, outcome, outcome > 0)
            shuffled.tell(picks[order], outcome[order], outcome[order] > 0)

    def test_parts_late_results_and_strangers_are_taken(self, name):
        strategy = make(name, LARGE)
        first, second = strategy.ask(8), strategy.ask(8)
        strangers = LARGE.sample_valid(30, np.random.default_rng(5))
        strangers = strangers[~np.isin(strangers, np.concatenate([first, second]))]
        for part in (second[:3], strangers, first[4:], second[3:], first[:4]):
            strategy.tell(part, smooth(LARGE, part), np.ones(len(part), bool))
        later = np.concatenate([strategy.ask(8) for _ in range(4)])
        assert len(later)
        assert not np.isin(later, np.concatenate([first, second, strangers])).any()

    def test_what_is_told_first_counts(self, name):
        once, twice = make(name, LARGE), make(name, LARGE)
        for _ in range(5):
            picks = once.ask(8)
            same([picks], [twice.ask(8)])
            outcome = smooth(LARGE, picks)
            once.tell(picks, outcome, outcome > 0)
            twice.tell(picks, outcome, outcome > 0)
            twice.tell(picks, outcome[::-1] * 7, np.ones(len(picks), bool))

    @pytest.mark.parametrize("rounds", [0, 1, 3, 5])
    def test_a_restored_strategy_goes_on_as_the_saved_one(self, name, rounds):
        strategy = make(name, LARGE)
        drive(strategy, rounds)
        twin = reloaded(name, LARGE, strategy)
        same(drive(strategy, 4), drive(twin, 4))

    def test_state_may_be_taken_amid_a_batch(self, name):
        strategy = make(name, LARGE)
        drive(strategy, 3)
        picks = strategy.ask(8)
        outcome = smooth(LARGE, picks)
        strategy.tell(picks[:3], outcome[:3], outcome[:3] > 0)
        twin = reloaded(name, LARGE, strategy)
        for one in (strategy, twin):
            one.tell(picks[3:], outcome[3:], outcome[3:] > 0)
        same(drive(strategy, 3), drive(twin, 3))

    def test_saving_changes_nothing(self, name):
        plain, saved = make(name, LARGE), make(name, LARGE)
        for _ in range(5):
            json.dumps(saved.state())
            same(drive(plain, 1), drive(saved, 1))

    def test_state_of_another_space_is_refused(self, name):
        with pytest.raises(InputError, match="space"):
            make(name, LARGE).restore(make(name, TINY).state())

    def test_indices_of_another_space_are_refused(self, name):
        with pytest.raises(InputError, match="index"):
            make(name, TINY).tell(np.array([TINY.size]), np.ones(1), np.ones(1, bool))

    def test_a_small_space_is_used_up_and_then_ends(self, name):
        strategy = make(name, TINY)
        asked = np.concatenate(drive(strategy, TINY.size + 2, n=16))
        assert len(strategy.ask(4)) == 0
        if name != "droplet":  # ends at a local optimum
            assert sorted(asked) == np.flatnonzero(TINY.valid(np.arange(TINY.size))).tolist()

    def test_nothing_valid_ends_at_once(self, name):
        space = ConfigSpace(
            RESNET_LAYER,
            "cuda",
            "none",
            [choice("a", range(7)), choice("b", range(9))],
            {"a": 0, "b": 0},
            check=lambda columns: np.zeros(len(columns["a"]), bool),
        )
        assert len(make(name, space).ask(8)) == 0

    def test_one_configuration_is_a_space(self, name):
        space = ConfigSpace(RESNET_LAYER, "cuda", "one", [choice("a", [3])], {"a": 3})
        assert drive(make(name, space), 2)[0].tolist() == [0]

    @pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -1.0])
    def test_outcomes_that_are_no_gflops_never_are_the_best(self, name, value):
        strategy = make(name, LARGE)
        drive(strategy, 6, gflops=lambda space, indices: np.full(len(indices), value))
        assert strategy.best is None
        assert len(strategy.ask(8)) > 0

    def test_an_ask_for_nothing_is_answered_with_nothing(self, name):
        assert len(make(name, LARGE).ask(0)) == 0


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("random", "grid", "droplet")])
def test_learning_beats_random_on_a_smooth_objective(name):
    def found(strategy_name):
        bests = []
        for seed in range(3):
            loop = search.Search(make(strategy_name, LARGE, seed), trials=160, batch=16)
            while len(picks := loop.ask()):
                loop.tell([Outcome.of(*row) for row in zip(picks.tolist(), smooth(LARGE, picks), strict=True)])
            bests.append(loop.best[1])
        return np.median(bests)

    assert found(name) > 1.1 * found("random")
