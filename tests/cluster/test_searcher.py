"""The searcher keeps Ray Tune's contract, replays what is known, and saves without pickle."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from hypothesis import given, settings
from hypothesis import strategies as st
from ray import tune
from ray.tune.search import ConcurrencyLimiter, Searcher

from raydgp import Dense, search
from raydgp.cluster import RaydgpSearcher
from raydgp.errors import InputError
from raydgp.records import Measurement, Status
from raydgp.templates.spaces import config_space
from tests.support import fakes

SPACE = config_space(fakes.WORKLOAD, "llvm")
FLOPS = fakes.WORKLOAD.flops


def measured(index: int) -> Measurement:
    """What the fake machine says: every seventh configuration fails."""
    if index % 7 == 0:
        return Measurement(index=index, status=Status.RUN_ERROR)
    return Measurement(index=index, status=Status.OK, times_s=(fakes.seconds(index),))


def answer(config: dict[str, Any] | str | None) -> dict[str, Any]:
    assert isinstance(config, dict), "it is finished, or waits"
    outcomes = [measured(index) for index in config["indices"]]
    return {"gflops": [m.gflops(FLOPS) for m in outcomes], "valid": [m.ok for m in outcomes]}


def drive(searcher: Searcher, trials: list[dict[str, Any]] | None = None) -> list[int]:
    """Runs a search to its end: what was measured, in order."""
    asked: list[int] = []
    for number in range(1000):
        config = searcher.suggest(f"trial{number}")
        if config == Searcher.FINISHED:
            return asked
        assert isinstance(config, dict)
        asked += config["indices"]
        if trials is not None:
            trials.append(config)
        searcher.on_trial_complete(trial_id=f"trial{number}", result=answer(config), error=False)
    raise AssertionError("no end")


def make(**options: Any) -> RaydgpSearcher:
    return RaydgpSearcher(SPACE, **{"strategy": "genetic", "trials": 40, "batch": 8, **options})


def test_a_search_asks_for_its_budget_default_first_and_nothing_twice() -> None:
    trials: list[dict[str, Any]] = []
    asked = drive(make(), trials)
    assert asked[0] == SPACE.default
    assert len(asked) == len(set(asked)) == 40
    assert [trial for config in trials for trial in config["trials"]] == list(range(40))
    assert all(SPACE.encode(k) == i for c in trials for k, i in zip(c["knobs"], c["indices"], strict=True))


def test_the_config_of_a_trial_is_plain_data() -> None:
    config = make().suggest("t")
    assert isinstance(config, dict)
    assert json.loads(json.dumps(config))["indices"] == config["indices"]


@pytest.mark.parametrize(
    "result",
    [
        None,
        {},
        {"gflops": None},
        {"gflops": [1.0]},
        {"gflops": [math.nan] * 8},
        {"gflops": [math.inf] * 8},
        {"gflops": [-1.0] * 8},
        {"gflops": ["fast"] * 8},
        {"gflops": [5.0] * 8, "valid": [False] * 8},
        {"gflops": [5.0] * 8, "valid": [True]},
    ],
)
def test_a_result_without_sense_counts_as_failed_configurations_once(result: dict[str, Any] | None) -> None:
    searcher = make()
    searcher.suggest("t")
    for _ in range(2):
        searcher.on_trial_complete(trial_id="t", result=result)
    assert (searcher.search.measured, searcher.search.failed, searcher.search.best) == (8, 8, None)


def test_an_error_fails_the_trial_even_with_a_result() -> None:
    searcher = make()
    config = searcher.suggest("t")
    searcher.on_trial_complete(trial_id="t", result=answer(config), error=True)
    assert searcher.search.failed == 8


def test_duplicate_and_unknown_trials_change_nothing() -> None:
    searcher = make()
    config = searcher.suggest("t")
    searcher.on_trial_complete(trial_id="t", result=answer(config))
    before = searcher.search.state()
    searcher.on_trial_complete(trial_id="t", result={"gflops": [9e9] * 8})
    searcher.on_trial_complete(trial_id="other", result={"gflops": [9e9] * 8})
    assert searcher.search.state() == before


def test_a_number_will_do_for_a_batch_of_one() -> None:
    searcher = make(batch=1)
    searcher.suggest("t")
    searcher.on_trial_complete(trial_id="t", result={"gflops": np.float64(3.0)})
    assert searcher.search.best == (SPACE.default, 3.0)


def test_the_metric_that_tune_names_is_read_where_there_are_no_gflops() -> None:
    searcher = make(batch=1)
    assert searcher.set_search_properties("speed", "max", {})
    searcher.suggest("t")
    searcher.on_trial_complete(trial_id="t", result={"speed": 4.0})
    assert searcher.search.best == (SPACE.default, 4.0)


def test_it_takes_no_other_search_space_and_no_minimum() -> None:
    assert not make().set_search_properties("gflops", "max", {"x": tune.uniform(0, 1)})
    with pytest.raises(InputError, match="maximised"):
        make().set_search_properties("gflops", "min", {})
    with pytest.raises(InputError, match="maximised"):
        make(mode="min")


def test_points_to_evaluate_come_right_after_the_default() -> None:
    first, second = fakes.valid_indices(2)
    asked = drive(make(points_to_evaluate=[first, SPACE.decode(second), first]))
    assert asked[:3] == [SPACE.default, first, second]
    assert len(asked) == len(set(asked)) == 40


def test_a_point_outside_of_the_space_is_refused() -> None:
    with pytest.raises(InputError, match="outside"):
        make(points_to_evaluate=[SPACE.size])


def test_a_strategy_that_was_made_before_is_taken_as_it_is() -> None:
    made = search.create("genetic", SPACE, seed=3, population=8)
    assert drive(make(strategy=made)) == drive(make(seed=3, options={"population": 8}))


def test_a_strategy_for_another_space_or_with_options_beside_it_is_refused() -> None:
    other = search.create("random", config_space(Dense(n=1, k=64, m=64), "llvm"))
    with pytest.raises(InputError, match="strategy random is for ConfigSpace"):
        make(strategy=other)
    with pytest.raises(InputError, match="options population come with a name"):
        make(strategy=search.create("genetic", SPACE), options={"population": 8})


@pytest.mark.parametrize("strategy", ["random", "genetic"])
def test_whatever_part_is_known_the_search_is_the_same_and_measures_the_rest(strategy: str) -> None:
    whole = make(strategy=strategy)
    asked = drive(whole)
    rng = np.random.default_rng(0)
    for done in range(41):
        known = {index: measured(index) for index in rng.permutation(asked[:done]).tolist()}
        resumed = make(strategy=strategy, known=known)
        assert drive(resumed) == asked[done:]
        assert resumed.search.best == whole.search.best


def test_a_batch_that_is_known_in_part_keeps_its_places() -> None:
    asked = drive(make())
    trials: list[dict[str, Any]] = []
    drive(make(known={index: measured(index) for index in asked[1:5]}), trials)
    assert trials[0]["trials"] == [0, 5, 6, 7]


@settings(max_examples=25, deadline=None)
@given(when=st.integers(0, 5), live=st.integers(0, 3))
def test_save_and_restore_at_any_moment_go_on_alike(tmp_path_factory: Any, when: int, live: int) -> None:
    file = tmp_path_factory.mktemp("state") / "state.json"
    searcher, twin = make(batch=4), make(batch=4)
    for number in range(when):
        searcher.on_trial_complete(trial_id=f"a{number}", result=answer(searcher.suggest(f"a{number}")))
    open_trials = {f"b{number}": config for number in range(live) if (config := searcher.suggest(f"b{number}"))}
    searcher.save(str(file))
    json.loads(file.read_text())
    twin.restore(str(file))
    for one in (searcher, twin):
        for trial, config in open_trials.items():
            one.on_trial_complete(trial_id=trial, result=answer(config))
    assert drive(searcher) == drive(twin)
    assert searcher.search.best == twin.search.best


def test_it_waits_rather_than_ask_for_much_more_than_is_known() -> None:
    searcher = make(batch=4)
    first, second = searcher.suggest("first"), searcher.suggest("second")
    assert searcher.suggest("third") is None
    searcher.on_trial_complete(trial_id="second", result=answer(second))
    assert isinstance(searcher.suggest("third"), dict)
    searcher.on_trial_complete(trial_id="first", result=answer(first))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"search": 1}', "\x80\x04cos\nsystem\n"])
def test_a_file_that_is_no_state_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "state"
    file.write_text(text)
    with pytest.raises(InputError, match="not a state"):
        make().restore(str(file))


# --- within Ray Tune


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    fakes.start_ray()
    yield
    ray.shutdown()


def fit(searcher: Searcher, folder: Path, trainable: Callable[[dict[str, Any]], None]) -> tune.ResultGrid:
    return tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        tune_config=tune.TuneConfig(
            search_alg=searcher, num_samples=12, metric="gflops", mode="max", reuse_actors=True
        ),
        run_config=tune.RunConfig(storage_path=str(folder), name="alone", verbose=0),
    ).fit()


@pytest.mark.cluster
def test_it_works_alone_in_a_tuner_and_within_a_concurrency_limiter(session: None, tmp_path: Path) -> None:
    searcher = make(strategy="random", trials=8, batch=1)
    results = fit(ConcurrencyLimiter(searcher, max_concurrent=2), tmp_path, fakes.objective)
    assert not results.errors
    values = {}
    for place in range(len(results)):
        metrics = results[place].metrics
        assert metrics
        values[metrics["config"]["indices"][0]] = metrics["gflops"]
    assert len(values) == 8
    index = max(values, key=lambda i: values[i])
    assert searcher.search.best == (index, values[index])
    (state,) = (tmp_path / "alone").glob("searcher-state-*")
    assert json.loads(state.read_text())["asked"] == 8
