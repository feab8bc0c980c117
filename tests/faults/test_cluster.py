"""Runners crash, end, hang and vanish: what that does to a configuration, and to those around it."""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray

from raydgp.errors import InputError, NoReference, RunnersLost
from raydgp.records import Status
from raydgp.settings import MeasureSettings
from tests.support import fakes

pytestmark = pytest.mark.cluster

INDICES = fakes.valid_indices(5)
BAD = INDICES[1]


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    fakes.start_ray()
    yield
    ray.shutdown()


@pytest.fixture
def log(session: None, tmp_path: Path) -> fakes.Log:
    return fakes.Log(tmp_path)


@pytest.mark.parametrize("act", [fakes.crash, fakes.leave, fakes.fail])
def test_a_runner_lost_once_is_replaced_and_nothing_is_lost(log: fakes.Log, act: Callable[[], None]) -> None:
    fault = fakes.Fault(log, act, [BAD], times=1)
    found = fakes.measure(fakes.pool(fakes.backend(run=fault)), INDICES)
    assert [m.status for m in found] == [Status.OK] * 5
    assert [m.index for m in found] == INDICES
    assert fault.calls(BAD) == 2
    assert len({pid for _, pid in log.read()}) == 2


def test_a_lost_runner_leaves_a_line_that_the_driver_can_ask_for(log: fakes.Log) -> None:
    pool = fakes.pool(fakes.backend(run=fakes.Fault(log, fakes.crash, [BAD], times=1)))
    ray.get(pool.keep_log.remote())
    fakes.measure(pool, INDICES)
    lines = ray.get(pool.logged.remote())
    assert len([line for line in lines if line.startswith("runner lost with 1 losses in a row")]) == 1
    assert ray.get(pool.logged.remote()) == []


def test_what_a_runners_process_logs_comes_with_its_result(log: fakes.Log) -> None:
    pool = fakes.pool(fakes.backend(run=warn))
    ray.get(pool.keep_log.remote())
    fakes.measure(pool, INDICES[:2])
    assert sorted(ray.get(pool.logged.remote())) == sorted(f"about {index}" for index in INDICES[:2])


def warn(index: int) -> None:
    logging.getLogger("raydgp.run").warning("about %d", index)


@pytest.mark.parametrize("act", [fakes.crash, fakes.leave])
def test_the_second_loss_is_runner_lost_and_the_others_are_measured(log: fakes.Log, act: Callable[[], None]) -> None:
    fault = fakes.Fault(log, act, [BAD], times=9)
    found = fakes.measure(fakes.pool(fakes.backend(run=fault)), INDICES)
    assert [m.status for m in found] == [Status.OK, Status.RUNNER_LOST, Status.OK, Status.OK, Status.OK]
    assert fault.calls(BAD) == 2
    assert found[1].error
    assert "\n" not in found[1].error


def test_a_call_behind_a_hang_is_not_blamed(log: fakes.Log) -> None:
    fault = fakes.Fault(log, fakes.hang, [BAD], times=9)
    found = fakes.measure(fakes.pool(fakes.backend(run=fault), grace_s=0.5), INDICES)
    assert [m.status for m in found] == [Status.OK, Status.RUNNER_LOST, Status.OK, Status.OK, Status.OK]
    assert [fault.calls(index) for index in INDICES] == [1, 2, 1, 1, 1]
    assert "hung" in found[1].error


def test_what_a_hung_runner_says_too_late_is_ignored(log: fakes.Log) -> None:
    fault = fakes.Fault(log, fakes.doze, [BAD], times=1)
    measure = MeasureSettings(run_timeout_s=0.4)
    (found,) = fakes.measure(fakes.pool(fakes.backend(run=fault), measure=measure, grace_s=0.4), [BAD])
    assert (found.status, fault.calls(BAD)) == (Status.OK, 2)


def test_an_idle_runner_that_is_killed_comes_back(log: fakes.Log) -> None:
    actor = fakes.pool(fakes.backend(run=fakes.Fault(log, fakes.fail, [], 0)))
    fakes.measure(actor, INDICES[:1])
    os.kill(int(log.read()[0][1]), signal.SIGKILL)
    assert [m.status for m in fakes.measure(actor, INDICES[1:])] == [Status.OK] * 4


@pytest.mark.slow
def test_when_no_runner_comes_back_the_wait_is_bounded_and_the_error_names_the_reason(log: fakes.Log) -> None:
    broken = fakes.backend(run=fakes.Fault(log, fakes.crash, INDICES, 9), opened=fakes.Breaks(log, after=1))
    actor = fakes.pool(broken, patience_s=10.0, scan_s=0.2)
    with pytest.raises(RunnersLost, match=r"(?s)no llvm runner.*out of order.*resume"):
        fakes.measure(actor, INDICES)
    with pytest.raises(RunnersLost):
        fakes.measure(actor, INDICES[:1])


def test_a_runner_that_never_can_start_is_the_users_to_mend_at_once(log: fakes.Log) -> None:
    def no_device() -> None:
        raise InputError("no such device here")

    actor = fakes.pool(fakes.backend(opened=no_device), scan_s=0.2)
    with pytest.raises(InputError, match="no such device"):
        ray.get(actor.describe.remote(), timeout=30)


def test_a_workload_without_a_reference_is_told_at_once_and_costs_no_runner(log: fakes.Log) -> None:
    fault = fakes.Fault(log, fakes.refuse, [BAD], times=9)
    actor = fakes.pool(fakes.backend(run=fault))
    with pytest.raises(NoReference) as told:
        fakes.measure(actor, [BAD])
    assert str(vars(told.value)["cause"]) == "no reference for this: MemoryError: too large"
    assert [m.status for m in fakes.measure(actor, INDICES[:1])] == [Status.OK]
    assert len({pid for _, pid in log.read()}) == 1
    assert fault.calls(BAD) == 1


@pytest.mark.slow
def test_too_many_losses_in_a_row_close_a_runner(log: fakes.Log) -> None:
    fault = fakes.Fault(log, fakes.crash, INDICES, times=99)
    actor = fakes.pool(fakes.backend(run=fault), patience_s=10.0, scan_s=0.2)
    with pytest.raises(RunnersLost):
        fakes.measure(actor, INDICES)
    assert len(log.read()) == 6
