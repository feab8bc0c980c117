"""Tuners compared on a device, which is a formula here."""

import numpy as np
import pytest

from raydgp import config_space
from raydgp.errors import RaydgpError
from raydgp.study import live

TARGET = {"kind": "llvm"}


def test_a_search_ends_with_the_best_that_it_measured(made):
    workload, measurer = made.space_of(16).workload, made.Formula()
    best = live.searched(workload, TARGET, measurer, "random", {}, trials=20, batch=8, seed=0)
    assert len(measurer.measured) == 20
    fastest = min(measurer.measured, key=lambda index: made.latency_s(best.space, np.array([index]))[0])
    assert best.index == fastest
    assert best.tuning_s > 0


def test_a_search_in_which_nothing_runs_says_so(made):
    with pytest.raises(RaydgpError, match="random: none of 8 configurations ran"):
        live.searched(made.space_of(16).workload, TARGET, made.Formula(broken=1), "random", {}, 8, 8, seed=0)


def test_all_take_turns_and_the_median_counts(made):
    workload, measurer = made.space_of(16).workload, made.Formula()
    one, other = live.default(workload, TARGET), live.Best(config_space(workload, "llvm"), 7)
    foreign = iter([5.0, 1.0, 2.0])
    seconds = live.in_turns({"one": one, "other": other}, measurer, 3, {"foreign": lambda: next(foreign)})
    assert measurer.measured == [one.index, 7] * 3
    assert seconds["foreign"] == 2.0
    assert seconds["other"] == pytest.approx(1.01 * made.latency_s(other.space, np.array([7]))[0])
