"""Tuners compared on a device, which is a formula here."""

import numpy as np
import pytest

from raydgp.app.compare import live
from raydgp.errors import RaydgpError


def test_a_search_ends_with_the_best_that_it_measured(made):
    space, measurer = made.space_of(16), made.Formula()
    best = live.searched(space, measurer, "random", {}, trials=20, batch=8, seed=0)
    assert len(measurer.measured) == 20
    fastest = min(measurer.measured, key=lambda index: made.latency_s(space, np.array([index]))[0])
    assert best.index == fastest
    assert best.tuning_s > 0


def test_a_search_in_which_nothing_runs_says_so(made):
    with pytest.raises(RaydgpError, match="random: none of 8 configurations ran"):
        live.searched(made.space_of(16), made.Formula(broken=1), "random", {}, 8, 8, seed=0)


def test_all_take_turns_and_the_median_counts(made):
    space, measurer = made.space_of(16), made.Formula()
    one, other = live.default(space), live.TunerResult(space, 7)
    foreign = iter([5.0, 1.0, 2.0])
    seconds = live.in_turns({"one": one, "other": other}, measurer, 3, {"foreign": lambda: next(foreign)})
    assert measurer.measured == [one.index, 7] * 3
    assert seconds["foreign"] == 2.0
    assert seconds["other"] == pytest.approx(1.01 * made.latency_s(other.space, np.array([7]))[0])
