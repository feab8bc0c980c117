"""What is ended early: slow kernels after one timing, long builds; and what is not."""

from __future__ import annotations

from statistics import median

import numpy as np
import pytest

from raydgp import Conv2d, config_space
from raydgp.records import Status
from raydgp.run.builder import Built
from raydgp.run.hopeless import SLOWER, BuildTimes
from raydgp.run.supervisor import Supervisor
from raydgp.settings import MeasureSettings
from raydgp.targets import Target
from tests.support.kernels import build

LAYER = Conv2d(n=1, ci=32, h=14, w=14, co=32, kh=3, kw=3, padding=(1, 1))


def test_a_kernel_much_slower_than_the_best_is_timed_once_and_says_so() -> None:
    """The fastest and the slowest of some random ones, which differ by more than a busy machine's noise."""
    space, target = config_space(LAYER, "llvm"), Target.here("llvm")
    drawn = [int(index) for index in space.sample_valid(12, np.random.default_rng(0))]
    libraries = {index: build(space, index, target) for index in drawn}
    all_repeats, few = MeasureSettings(min_repeat_ms=2, stop_hopeless=False), MeasureSettings(min_repeat_ms=2)
    with Supervisor(threads=1) as supervisor:
        first = {index: supervisor.run(space, index, libraries[index], all_repeats) for index in drawn}
    assert {len(result.times_s) for result in first.values()} == {3}
    fastest, slowest = (choose(drawn, key=lambda index: min(first[index].times_s)) for choose in (min, max))
    assert min(first[slowest].times_s) > 1.2 * SLOWER * min(first[fastest].times_s), "of these none is slow enough"
    with Supervisor(threads=1) as supervisor:
        alone = supervisor.run(space, slowest, libraries[slowest], few)
        fast = supervisor.run(space, fastest, libraries[fastest], few)
        for _ in range(5):  # a disturbed timing says nothing, so that it is followed by others
            slow = supervisor.run(space, slowest, libraries[slowest], few)
            if "waited" not in slow.conditions:
                break
        else:
            pytest.skip("this machine is too busy")
        whole = supervisor.run(space, slowest, libraries[slowest], all_repeats)
    assert {result.status for result in (alone, fast, slow, whole)} == {Status.OK}
    assert (len(alone.times_s), len(fast.times_s), len(whole.times_s)) == (3, 3, 3)
    assert len(slow.times_s) == 1
    assert slow.conditions["slower"] == pytest.approx(slow.times_s[0] / median(fast.times_s))
    assert not any("slower" in result.conditions for result in (alone, fast, whole))


def test_a_build_may_take_five_times_as_long_as_is_usual_in_its_space() -> None:
    times = BuildTimes()
    for build_s in np.linspace(0.5, 1.5, 15):
        times.add("a", Built(status=Status.OK, build_s=float(build_s)))
    for _ in range(20):
        times.add("a", Built(status=Status.BUILD_TIMEOUT, build_s=9.0))
        times.add("b", Built(status=Status.OK, build_s=0.01))
    assert times.limit_s("a", 20.0) == 20.0
    times.add("a", Built(status=Status.OK, build_s=1.0))
    assert times.limit_s("a", 20.0) == pytest.approx(5.0)
    assert times.limit_s("a", 3.0) == 3.0
    assert times.limit_s("b", 20.0) == 3.0
    assert times.limit_s("unknown", 20.0) == 20.0
