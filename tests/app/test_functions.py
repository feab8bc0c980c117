"""`raydgp.tune_function`: a user's function searched, supervised, journalled and resumed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

import raydgp
from raydgp.errors import InputError
from raydgp.space import parameters

OPTIONS: dict[str, Any] = {"a": list(range(1, 17)), "b": [0, 1, 2]}


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def seconds(config: dict[str, Any]) -> float:
    return float(config["a"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"measure": 5}, "measure: give a function of a configuration"),
        ({"space": {"a": []}}, "'a' has no options"),
        ({"space": raydgp.config_space(raydgp.Dense(n=1, k=64, m=32), "llvm")}, "give one of raydgp.space.parameters"),
        ({"resources": {}}, "a measurement needs something"),
        ({"resources": {"cpu": 0}}, "'ray.resources.cpu': input should be greater than 0"),
        ({"timeout_s": -1}, "'measure.run_timeout_s': input should be greater than 0"),
        ({"strategy": "autotwm"}, "did you mean 'autotvm'"),
        ({"trails": 5}, "unknown key 'trails'"),
    ],
)
def test_wrong_arguments_are_one_line(arguments: dict[str, Any], message: str) -> None:
    given = {"measure": seconds, "space": OPTIONS, "mlflow": False, **arguments}
    with pytest.raises(InputError, match=message) as caught:
        raydgp.tune_function(given.pop("measure"), given.pop("space"), **given)
    assert "\n" not in str(caught.value)
    assert not list(Path("runs").glob("*/run.json"))


@pytest.mark.slow
@pytest.mark.cluster
def test_a_function_that_crashes_hangs_and_raises_is_searched_to_the_end_and_resumed() -> None:
    def measure(config: dict[str, Any]) -> float:
        match config["a"]:
            case 3:
                os._exit(3)
            case 4:
                time.sleep(600)
            case 5:
                raise ValueError("no")
        return 1e-3 * (1 + abs(config["a"] - 12) + config["b"])

    with pytest.raises(InputError, match=r"resources \{'cpu': 1000000.0\}: this machine has less"):
        raydgp.tune_function(measure, OPTIONS, resources={"cpu": 10**6}, mlflow=False)
    limit = 14
    space = parameters(OPTIONS, ["a * b <= 30", lambda p: p["a"] + p["b"] <= limit])
    valid = [k for k in map(space.decode, range(space.size)) if k["a"] * k["b"] <= 30 and k["a"] + k["b"] <= limit]
    given: dict[str, Any] = {"strategy": "random", "timeout_s": 1.0, "mlflow": False, "batch": 8}
    raydgp.tune_function(measure, space, trials=8, **given)
    run = raydgp.tune_function(measure, space, trials=48, **given)
    records = run.records
    assert sorted(map(str, records["knobs"])) == sorted(map(str, valid))
    assert run.best["knobs"].iloc[0] == {"a": 12, "b": 0}
    assert set(records.loc[records["status"] == "ok", "knobs"].map(lambda k: k["a"] in (3, 4, 5))) == {False}
    statuses = {knobs["a"]: status for knobs, status in zip(records["knobs"], records["status"], strict=True)}
    assert [statuses[a] for a in (3, 4, 5)] == ["run_error", "run_timeout", "run_error"]
    journal = (run.folder / "journal.jsonl").read_bytes()
    raydgp.tune_function(measure, space, trials=48, **given)
    assert (run.folder / "journal.jsonl").read_bytes() == journal
