"""A user's function behind its supervisor: what it does ends its process, never the runner."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import cloudpickle
import numpy as np
import pytest

from raydgp.cluster.functions import function_backend
from raydgp.cluster.resources import fitting, ray_options
from raydgp.errors import NoReference
from raydgp.records import Status
from raydgp.run.function_child import seconds_of
from raydgp.run.supervisor import Result
from raydgp.settings import MeasureSettings
from raydgp.space import parameters

SPACE = parameters({"what": ["run", "raise", "nan", "leave", "segfault", "hang", "print", "array"], "size": [1, 2]})


def make_function() -> Any:
    """A closure, which is sent by value: no child has the tests on its path."""
    unit_s = 1e-3

    def measure(config: dict[str, Any]) -> Any:
        match config["what"]:
            case "raise":
                raise ValueError("two\nlines")
            case "nan":
                return float("nan")
            case "leave":
                os._exit(3)
            case "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "hang":
                time.sleep(600)
            case "print":
                print("noise" * 10_000)
            case "array":
                return np.full(3, unit_s, np.float32)
        return unit_s * config["size"]

    return measure


@pytest.fixture(scope="module")
def run() -> Any:
    executor: Any = function_backend(make_function(), {"cpu": 1}).executor("function", MeasureSettings(run_timeout_s=2))
    return lambda **knobs: executor.run(SPACE, SPACE.encode({"size": 2, **knobs}), b"")


@pytest.mark.parametrize(
    ("what", "status", "error"),
    [
        ("run", Status.OK, ""),
        ("raise", Status.RUN_ERROR, "ValueError: two lines"),
        ("nan", Status.RUN_ERROR, "returned nan, not the seconds"),
        ("print", Status.OK, ""),
        ("leave", Status.RUN_ERROR, "exited with code 3"),
        ("segfault", Status.RUN_ERROR, "SIGSEGV"),
        ("hang", Status.RUN_TIMEOUT, "no answer within 2 s"),
        ("array", Status.OK, ""),
    ],
)
def test_what_a_function_does_is_a_status(run: Any, what: str, status: Status, error: str) -> None:
    result: Result = run(what=what)
    assert result.status is status
    assert error in result.error
    assert "\n" not in result.error
    if status is Status.OK:
        assert np.allclose(result.times_s, [1e-3] * 3 if what == "array" else [2e-3])


def test_a_function_that_cannot_be_loaded_ends_the_run_with_its_reason() -> None:
    class Absent:
        def __reduce__(self) -> Any:
            return __import__, ("no_such_module_anywhere",)

        def __call__(self, config: dict[str, Any]) -> float:
            return 1.0

    executor: Any = function_backend(Absent(), {"cpu": 1}).executor("function", MeasureSettings())
    with pytest.raises(NoReference, match=r"cannot be loaded by its runner.*no_such_module_anywhere"):
        executor.run(SPACE, 0, b"")


@pytest.mark.parametrize("bad", [None, "fast", 0, -1.0, float("inf"), [], [1.0, float("nan")], {"s": 1}, True == 2])
def test_only_finite_positive_numbers_are_seconds(bad: Any) -> None:
    with pytest.raises(ValueError, match="not the seconds"):
        seconds_of(bad)


def test_numbers_of_any_kind_are_seconds() -> None:
    assert seconds_of(2) == seconds_of(np.float32(2)) == seconds_of(np.array(2.0)) == [2.0]
    assert seconds_of((1, 2.0)) == seconds_of(np.array([1, 2])) == [1.0, 2.0]


def test_resources_are_rays() -> None:
    node = {"CPU": 8.0, "GPU": 2.0, "fpga": 1.0}
    assert [fitting(r, node) for r in ({"cpu": 3}, {"cpu": 1, "gpu": 1}, {"fpga": 2}, {"gpu": 0.5})] == [2, 2, 0, 4]
    assert ray_options({"cpu": 3}) == {"num_cpus": 3, "resources": {}}
    assert ray_options({"gpu": 1, "fpga": 2}) == {"num_cpus": 0, "num_gpus": 1, "resources": {"fpga": 2}}


def test_the_executor_is_made_from_what_a_pickle_carries() -> None:
    backend = cloudpickle.loads(cloudpickle.dumps(function_backend(make_function(), {"cpu": 1})))
    assert backend.build is None
    executor = backend.executor("function", MeasureSettings())
    assert executor.target.kind == executor.device["kind"] == "function"
    assert executor.run(SPACE, 0, b"").times_s == (1e-3,)
