import os

import psutil
import pytest

from raydgp import config_space
from raydgp.errors import NoReference, RaydgpError
from raydgp.records import Status
from raydgp.run import supervisor as module
from raydgp.run.supervisor import Result, Supervisor
from raydgp.sandbox.cpus import own_cores
from raydgp.sandbox.process import Child
from raydgp.settings import MeasureSettings
from raydgp.workloads import Dense
from tests.support.processes import python

SETTINGS = MeasureSettings(repeat=4, min_repeat_ms=1)


def children() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "raydgp.run.run_child" in p.cmdline()]


def test_a_built_configuration_is_timed_with_all_of_its_repeats(space, library):
    with Supervisor() as supervisor:
        result = supervisor.run(space, space.default, library, SETTINGS)
    assert (result.status, result.error) == (Status.OK, "")
    assert len(result.times_s) == 4
    assert 0 < min(result.times_s) <= max(result.times_s) < result.run_s


def test_cold_calls_are_timed_one_by_one(space, library):
    with Supervisor() as supervisor:
        result = supervisor.run(space, space.default, library, MeasureSettings(repeat=5, cold_cache=True))
    assert (result.status, len(result.times_s)) == (Status.OK, 5)
    assert result.conditions.keys() <= {"waited"}


def test_a_child_whose_run_failed_in_any_way_is_replaced(space, library):
    with Supervisor() as supervisor:
        (before,) = children()
        assert supervisor.run(space, space.default, b"no library", SETTINGS).status is Status.RUN_ERROR
        assert before not in children()
        assert supervisor.run(space, space.default, library, SETTINGS).status is Status.OK


def test_a_workload_whose_right_answer_cannot_be_computed_is_named(space, library):
    huge = config_space(Dense(n=1, k=10**7, m=10**7), "llvm")
    with Supervisor() as supervisor:
        with pytest.raises(NoReference, match=r"no reference for dense\(.*MemoryError"):
            supervisor.run(huge, huge.default, library, SETTINGS)
        assert supervisor.run(space, space.default, library, SETTINGS).status is Status.OK


def test_each_thread_has_a_processor_of_its_own(space, library):
    with Supervisor() as supervisor:
        supervisor.run(space, space.default, library, SETTINGS)
        busy = max(children(), key=lambda child: sum(child.cpu_times()[:2]))
        masks = [os.sched_getaffinity(thread.id) for thread in busy.threads()]
    assert sorted(mask.pop() for mask in masks if len(mask) == 1) == own_cores()


def test_a_runner_keeps_to_the_processors_it_was_given(space, library):
    last = own_cores()[-1]
    with Supervisor(cpus=[last]) as supervisor:
        assert supervisor.threads == 1
        supervisor.run(space, space.default, library, SETTINGS)
        busy = max(children(), key=lambda child: sum(child.cpu_times()[:2]))
        assert os.sched_getaffinity(busy.pid) == {last}


def test_the_spare_holds_still_while_a_kernel_runs(space, library, monkeypatch):
    with Supervisor() as supervisor:
        supervisor.run(space, space.default, library, SETTINGS)
        call, seen = Child.call, []

        def look(child, *args):
            answer = call(child, *args)
            seen.append({other.status() for other in children() if other.pid != child.process.pid})
            return answer

        monkeypatch.setattr(Child, "call", look)
        supervisor.run(space, space.default, library, SETTINGS)
        assert seen == [{psutil.STATUS_STOPPED}]
        assert psutil.STATUS_STOPPED not in {child.status() for child in children()}


@pytest.mark.parametrize("bad", [0.0, -1e-3, float("nan"), float("inf")])
def test_an_impossible_time_is_a_run_error(bad):
    result = Result.of({"status": "ok", "times_s": [1e-3, bad, 1e-3], "error": ""}, run_s=0.1)
    assert (result.status, result.times_s) == (Status.RUN_ERROR, ())
    assert "impossible times" in result.error


def test_no_repeat_at_all_is_a_run_error():
    assert Result.of({"status": "ok", "times_s": [], "error": ""}, run_s=0.1).status is Status.RUN_ERROR


def test_a_child_that_cannot_start_says_why(monkeypatch, space, library):
    child = module.Child
    monkeypatch.setattr(module, "Child", lambda _, *rest: child("no.such.module", *rest))
    why = r"cannot start \(exited with code 1.*No module named 'no'.*doctor"
    with Supervisor() as supervisor, pytest.raises(RaydgpError, match=why):
        supervisor.run(space, space.default, library, SETTINGS)


def test_an_actor_that_supervises_imports_no_tvm():
    code = "import sys, raydgp.run.supervisor, raydgp.run.builder; print({'tvm', 'torch'} & set(sys.modules))"
    answer = python("-c", code)
    assert answer.stdout.strip() == "set()"
