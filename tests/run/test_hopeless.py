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
    """The same kernel, with its caches emptied before each call, stands in for a slow one."""
    space, target = config_space(LAYER, "llvm"), Target.here("llvm")
    library = build(space, space.default, target)
    warm = MeasureSettings(min_repeat_ms=2)
    cold = MeasureSettings(cold_cache=True)
    with Supervisor(threads=1) as supervisor:
        alone = supervisor.run(space, space.default, library, cold)
        fast = supervisor.run(space, space.default, library, warm)
        for _ in range(5):  # a disturbed timing says nothing, so that it is followed by others
            slow = supervisor.run(space, space.default, library, cold)
            if "waited" not in slow.conditions:
                break
        else:
            pytest.skip("this machine is too busy")
        whole = supervisor.run(space, space.default, library, cold.model_copy(update={"stop_hopeless": False}))
    assert {result.status for result in (alone, fast, slow, whole)} == {Status.OK}
    assert (len(alone.times_s), len(fast.times_s), len(whole.times_s)) == (3, 3, 3)
    assert min(alone.times_s) > SLOWER * median(fast.times_s), "emptied caches make too little difference"
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
