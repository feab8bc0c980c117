import os
import signal
import threading
import time

import numpy as np
import psutil
import pytest

from raydgp import Conv2d, config_space
from raydgp.measure.local import LocalMeasurer
from raydgp.records import Status
from raydgp.settings import MeasureSettings
from raydgp.targets import Target

SPACE = config_space(Conv2d(n=1, ci=16, h=6, w=6, co=16, kh=3, kw=3, padding=(1, 1)), "llvm")
SETTINGS = MeasureSettings(repeat=2, min_repeat_ms=1, build_timeout_s=3)


@pytest.fixture(scope="module")
def shared():
    with LocalMeasurer(Target.here("llvm"), SETTINGS, workers=2) as made:
        made.measure(SPACE, np.array([SPACE.default]))
        yield made


@pytest.fixture
def measurer(shared):
    """The same one for all faults; after each of them the next configuration is measured."""
    yield shared
    (outcome,) = shared.measure(SPACE, np.array([SPACE.default]))
    assert outcome.ok, outcome


def builders() -> list[psutil.Process]:
    found = [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]
    return [p for p in found if "raydgp.run.build_child" in p.cmdline()]


def test_a_stuck_builder_costs_one_configuration(measurer):
    stuck, _ = builders()
    stuck.suspend()
    indices = SPACE.sample(4, np.random.default_rng(0))
    outcomes = measurer.measure(SPACE, indices)
    assert sorted(outcome.status is Status.BUILD_TIMEOUT for outcome in outcomes) == [False, False, False, True]
    (late,) = [outcome for outcome in outcomes if outcome.status is Status.BUILD_TIMEOUT]
    assert "3 s" in late.error
    assert late.phases.build_s >= 3
    assert late.phases.run_s == 0


def test_a_builder_killed_at_work_costs_one_configuration(measurer):
    for builder in builders():
        builder.suspend()
    killer = threading.Timer(1.0, lambda: [builder.kill() for builder in builders()])
    killer.start()
    indices = SPACE.sample(3, np.random.default_rng(0))
    statuses = [outcome.status for outcome in measurer.measure(SPACE, indices)]
    killer.join()
    assert sorted(statuses) == [Status.BUILD_ERROR, Status.BUILD_ERROR, Status.OK]


def test_builders_killed_while_idle_cost_no_configuration(measurer):
    killed = builders()
    for builder in killed:
        builder.kill()
    while any(psutil.pid_exists(p.pid) and p.status() != psutil.STATUS_ZOMBIE for p in killed):
        time.sleep(0.01)


def test_ctrl_c_ends_builds_that_are_under_way(measurer):
    for builder in builders():
        builder.suspend()
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        measurer.measure(SPACE, SPACE.sample(6, np.random.default_rng(0)))
    assert builders() == []


def test_time_by_phase_is_no_more_than_the_time_it_took(measurer):
    begin = time.monotonic()
    (outcome,) = measurer.measure(SPACE, np.array([SPACE.default]))
    took_s = time.monotonic() - begin
    phases = outcome.phases
    assert 0 < phases.build_s + phases.queue_s + phases.run_s <= took_s


def test_closing_leaves_no_process():
    measurer = LocalMeasurer(Target.here("llvm"), SETTINGS, workers=1)
    before = {p.pid for p in psutil.Process().children()}
    measurer.close()
    assert len({p.pid for p in psutil.Process().children()} & before) == len(before) - 2
