"""The pool: who builds and runs when, and what a measurement says."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from raydgp.errors import InputError
from raydgp.records import Measurement, Status
from raydgp.sandbox.cpus import own_cores
from raydgp.settings import MeasureSettings
from raydgp.templates.spaces import config_space
from tests.support import fakes

pytestmark = pytest.mark.cluster

INDICES = fakes.valid_indices(6)


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    fakes.start_ray(gpus=3)
    yield
    ray.shutdown()


@pytest.fixture
def log(session: None, tmp_path: Path) -> fakes.Log:
    return fakes.Log(tmp_path)


class Held(fakes.Interval):
    """A run that logs the processors that it is held to."""

    def __init__(self, log: fakes.Log, length_s: float) -> None:
        super().__init__(log, "", length_s)

    def __call__(self, index: int) -> None:
        self._name = ",".join(map(str, sorted(os.sched_getaffinity(0))))
        super().__call__(index)


def intervals(log: fakes.Log, name: str) -> list[tuple[float, float]]:
    return sorted((float(start), float(end)) for word, _, start, end in log.read() if word == name)


def overlaps(one: list[tuple[float, float]], other: list[tuple[float, float]]) -> int:
    return sum(a < d and c < b and (a, b) != (c, d) for a, b in one for c, d in other)


def test_on_processors_runs_are_alone_and_builds_are_not(log: fakes.Log) -> None:
    backend = fakes.backend(run=fakes.Interval(log, "run", 0.03), build=fakes.Interval(log, "build", 0.2))
    actor = fakes.pool(backend)
    early = [actor.measure.remote(fakes.WORKLOAD.to_dict(), index) for index in INDICES[:3]]
    ray.wait(early, timeout=30)  # the others come while the first ones run
    fakes.measure(actor, INDICES[3:])
    ray.get(early, timeout=30)
    builds, runs = intervals(log, "build"), intervals(log, "run")
    assert len(builds) == len(runs) == 6
    assert overlaps(builds, builds)
    assert not overlaps(runs, runs)
    assert not overlaps(runs, builds)
    ray.kill(actor)


def test_runners_of_a_node_are_held_to_cores_of_their_own_and_run_side_by_side(log: fakes.Log) -> None:
    cores = own_cores()
    if len(cores) < 2:
        pytest.skip("one core")
    backend = fakes.backend(run=Held(log, 0.3), build=fakes.Interval(log, "build", 0.05))
    actor = fakes.pool(backend, cores_per_runner=1, runners=2)
    ray.get(actor.describe.remote(), timeout=60)
    deadline_s = time.monotonic() + 60
    while len({words[0] for words in log.read() if words[0] != "build"}) < 2 and time.monotonic() < deadline_s:
        fakes.measure(actor, INDICES)
    held = {words[0] for words in log.read() if words[0] != "build"}
    assert held == {str(cores[0]), str(cores[1])}
    one, other = (intervals(log, name) for name in sorted(held))
    assert overlaps(one, other)
    assert not overlaps(one + other, intervals(log, "build"))
    ray.kill(actor)


def test_more_cores_for_a_runner_than_there_are_is_said_at_once(log: fakes.Log) -> None:
    actor = fakes.pool(fakes.backend(run=fakes.Interval(log, "run", 0.0)), cores_per_runner=10_000)
    with pytest.raises(InputError, match=r"ray\.cores_per_runner is 10000, but a node has"):
        ray.get(actor.describe.remote(), timeout=60)
    ray.kill(actor)


def test_on_gpus_builds_go_on_during_runs_and_every_runner_is_reached(log: fakes.Log) -> None:
    backend = fakes.backend(run=fakes.Interval(log, "run", 0.1), build=fakes.Interval(log, "build", 0.03))
    actor = fakes.pool(backend, kind="cuda")
    indices = fakes.valid_indices(120, "cuda")
    for batch in range(10):  # runners are admitted as they start
        found = fakes.measure(actor, indices[12 * batch : 12 * batch + 12])
        assert {measured.resources for measured in found} == {(fakes.USED,)}
        runs = intervals(log, "run")
        if max(sum(a <= start < b for a, b in runs) for start, _ in runs) == 3:
            break
    else:
        raise AssertionError("never did three runners run at a time")
    assert overlaps(runs, intervals(log, "build"))
    ray.kill(actor)


def until(actor: Any, reached: Callable[[], bool]) -> list[Measurement]:
    """Measures until the condition holds: runners are admitted one by one as they start."""
    found = []
    for batch in range(20):
        found += fakes.measure(actor, fakes.valid_indices(240, "cuda")[12 * batch : 12 * batch + 12])
        if reached():
            return found
    raise AssertionError("not reached")


def test_every_runner_has_a_gpu_of_its_own(log: fakes.Log) -> None:
    actor = fakes.pool(fakes.backend(run=fakes.Visible(log)), kind="cuda")
    until(actor, lambda: len({pid for pid, _ in log.read()}) == 3)
    assert sorted(gpu for _, gpu in {tuple(line) for line in log.read()}) == ["0", "1", "2"]
    ray.kill(actor)


def test_gpus_of_another_kind_than_the_first_runners_are_left_alone(log: fakes.Log, tmp_path: Path) -> None:
    (tmp_path / "starts").mkdir()
    starts = fakes.Log(tmp_path / "starts")
    backend = fakes.backend(run=fakes.Visible(log), name=fakes.mixed, opened=fakes.Breaks(starts, after=99))
    actor = fakes.pool(backend, kind="cuda")
    until(actor, lambda: len(starts.read()) == 3)
    found = fakes.measure(actor, fakes.valid_indices(264, "cuda")[240:])
    assert len({m.device["name"] for m in found}) == 1
    ray.kill(actor)


def test_a_search_thinks_only_between_runs(log: fakes.Log) -> None:
    actor = fakes.pool(fakes.backend(run=fakes.Interval(log, "run", 0.05)))
    fakes.measure(actor, INDICES[:1])
    node_id = ray.get_runtime_context().get_node_id()
    ray.get(actor.enter.remote(node_id))
    answer = actor.measure.remote(fakes.WORKLOAD.to_dict(), INDICES[1])
    assert not ray.wait([answer], timeout=1.0)[0]
    thought = time.monotonic()
    actor.leave.remote(node_id)
    ray.get(answer, timeout=30)
    assert intervals(log, "run")[-1][0] > thought
    ray.kill(actor)


def test_an_invalid_configuration_is_not_built(log: fakes.Log) -> None:
    space = config_space(fakes.WORKLOAD, "llvm")
    everything = np.arange(space.size)
    invalid = int(everything[~space.valid(everything)][0])
    (found,) = fakes.measure(fakes.pool(fakes.backend(build=fakes.Fault(log, fakes.crash, [], 0))), [invalid])
    assert (found.status, found.times_s, log.read()) == (Status.INVALID, (), [])
    assert "invalid" in found.error


def test_a_measurement_says_where_and_where_the_time_went(log: fakes.Log) -> None:
    backend = fakes.backend(run=fakes.Interval(log, "run", 0.05), build=fakes.Interval(log, "build", 0.1))
    began = time.time()
    (found,) = fakes.measure(fakes.pool(backend), INDICES[:1])
    assert (found.status, found.times_s) == (Status.OK, (fakes.seconds(INDICES[0]),) * 3)
    assert (found.device, found.versions) == ({"kind": "llvm", "name": "fake"}, {"raydgp": "test"})
    assert found.phases.build_s >= 0.1
    assert found.phases.run_s >= 0.05
    assert found.phases.queue_s > 0
    assert began < found.time_unix_s < time.time()


@pytest.mark.parametrize("act", [fakes.crash, fakes.leave, fakes.fail])
def test_a_build_that_ends_its_process_or_raises_is_a_build_error(log: fakes.Log, act: Callable[[], None]) -> None:
    bad = INDICES[1]
    patient = MeasureSettings(build_timeout_s=20, run_timeout_s=5)  # no limit of time is in question here
    pool = fakes.pool(fakes.backend(build=fakes.Fault(log, act, [bad], 9)), measure=patient)
    found = fakes.measure(pool, INDICES[:3])
    assert [m.status for m in found] == [Status.OK, Status.BUILD_ERROR, Status.OK]
    assert found[1].error
    assert "\n" not in found[1].error


def test_a_build_that_hangs_is_killed_and_frees_its_processor(log: fakes.Log) -> None:
    fault = fakes.Fault(log, fakes.hang, INDICES[:2], 9)
    settings = MeasureSettings(build_timeout_s=0.5)
    found = fakes.measure(fakes.pool(fakes.backend(build=fault), measure=settings, grace_s=0.5), INDICES[:4])
    assert [m.status for m in found] == [Status.BUILD_TIMEOUT] * 2 + [Status.OK] * 2
    assert [fault.calls(index) for index in INDICES[:4]] == [1] * 4
