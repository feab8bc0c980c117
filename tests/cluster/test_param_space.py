"""Ray Tune's own search spaces: what becomes of each distribution, and searches in them by Tune's contract."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from ray import tune
from ray.tune.search import ConcurrencyLimiter, Repeater, Searcher

from raydgp.cluster import RaydgpSearcher
from raydgp.cluster.param_space import ParamSpace
from raydgp.errors import InputError
from tests.support import fakes

SPACE: dict[str, Any] = {
    "block": tune.choice([16, 32, 64, 128]),
    "inner": {"rate": tune.loguniform(1e-4, 1e-1), "layout": tune.choice(["NHWC", "NCHW"])},
    "alpha": tune.uniform(0.0, 1.0),
    "fixed": 3,
}


def options(domain: Any) -> list[Any]:
    params = ParamSpace({"p": domain})
    return [params.config(index)["p"] for index in range(params.space.size)]


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        (tune.choice([16, 32, 64]), [16, 32, 64]),
        (tune.choice(["a", None, (1, 2), {"deep": [1]}]), ["a", None, (1, 2), {"deep": [1]}]),
        (tune.grid_search([True, False]), [True, False]),
        (tune.randint(2, 6), [2, 3, 4, 5]),
        (tune.qrandint(2, 9, 2), [2, 4, 6, 8]),
        (tune.qrandint(2, 8, 3), [3, 6]),
        (tune.lograndint(1, 5), [1, 2, 3, 4]),
        (tune.quniform(0.1, 0.4, 0.1), [0.1, 0.2, 0.3, 0.4]),
        (tune.qloguniform(0.5, 2.0, 0.5), [0.5, 1.0, 1.5, 2.0]),
        (tune.uniform(1.0, 1.0), [1.0]),
    ],
)
def test_a_distribution_has_the_options_that_tune_draws_from(domain: Any, expected: list[Any]) -> None:
    found = options(domain)
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


def test_ranges_are_even_or_even_in_their_logarithm() -> None:
    assert np.allclose(np.diff(options(tune.uniform(-1.0, 1.0))), 0.002)
    assert np.allclose(np.diff(np.log(options(tune.loguniform(1e-4, 1e-1)))), math.log(1000) / 1000)
    large = options(tune.lograndint(1, 10**6))
    assert (large[0], large[-1], len(set(large))) == (1, 10**6 - 1, len(large))
    assert len(large) < 1002
    assert np.diff(large)[-1] > 1000
    assert len(options(tune.randint(0, 10**6))) == 1001


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "nothing to search"),
        ({"a": 3}, "nothing to search"),
        ({"a": tune.randn(0, 1)}, "a=.* has no options to choose from"),
        ({"a": tune.sample_from(lambda spec: 3)}, "a=.* has no options"),
        ({"a": [tune.uniform(0, 1)]}, "a/0 is within a list"),
        ({f"x{k}": tune.uniform(0, 1) for k in range(50)}, "50 ranges"),
    ],
)
def test_what_has_no_space_is_refused_in_one_line(config: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ParamSpace(config)


def made(mode: str = "min", space: dict[str, Any] = SPACE, **arguments: Any) -> RaydgpSearcher:
    searcher = RaydgpSearcher(**{"strategy": "genetic", **arguments})
    assert searcher.set_search_properties("loss", mode, space)
    return searcher


def loss(config: dict[str, Any]) -> float:
    """Between -4 and 20."""
    rate = math.log10(config["inner"]["rate"])
    return abs(rate + 2) + abs(config["alpha"] - 0.75) + config["block"] / 8 - 4 * (config["inner"]["layout"] == "NCHW")


def drive(searcher: Searcher, trials: int, value: Any = loss) -> list[dict[str, Any]]:
    asked = []
    for number in range(trials):
        config = searcher.suggest(f"t{number}")
        assert isinstance(config, dict)
        asked.append(config)
        searcher.on_trial_complete(f"t{number}", {"loss": value(config)})
    return asked


@pytest.mark.parametrize("strategy", ["genetic", "autotvm"])
def test_it_finds_what_is_low_or_high_whatever_its_sign(strategy: str) -> None:
    found = drive(made(strategy=strategy, options={"preset": "small"}), 80)
    assert min(map(loss, found[40:])) < -1.2 < np.median([loss(config) for config in found[:20]])
    found = drive(made("max", strategy=strategy, options={"preset": "small"}), 80, lambda config: -loss(config))
    assert min(map(loss, found[40:])) < -1.2


def test_a_trial_that_fails_or_reports_no_number_has_failed_once() -> None:
    searcher = made()
    for number, result in enumerate(
        [None, {}, {"loss": math.nan}, {"loss": None}, {"loss": "low"}, {"loss": math.inf}]
    ):
        searcher.suggest(str(number))
        for _ in range(2):
            searcher.on_trial_complete(str(number), result)
    searcher.suggest("e")
    searcher.on_trial_complete("e", {"loss": 1.0}, error=True)
    searcher.on_trial_complete("never asked", {"loss": 1.0})
    assert (searcher.search.measured, searcher.search.failed, searcher.search.best) == (7, 7, None)
    assert drive(searcher, 3)


def test_given_points_come_first_and_exactly() -> None:
    points = [
        {"block": 64, "inner": {"rate": 0.0123456, "layout": "NCHW"}, "alpha": 0.123456},
        {"block": 16, "inner/rate": 1e-4, "inner/layout": "NHWC", "alpha": 1.0},
    ]
    first, second, _ = drive(made(points_to_evaluate=points), 3)
    assert first == points[0]
    assert second == {"block": 16, "inner": {"rate": 1e-4, "layout": "NHWC"}, "alpha": 1.0}


def test_points_with_rewards_are_learnt_and_not_tried() -> None:
    points = [{"a": a} for a in (1, 2, 3)]
    searcher = made(space={"a": tune.randint(0, 6)}, points_to_evaluate=points, evaluated_rewards=[3.0, math.nan, -1.0])
    assert sorted(config["a"] for config in drive(searcher, 3, lambda config: 0.0)) == [0, 4, 5]
    assert searcher.suggest("more") == Searcher.FINISHED
    assert searcher.search.strategy.best[0] == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"points_to_evaluate": [{"a": 1}, {"a": 9}]}, "a=9 is outside of 0 to 5"),
        ({"points_to_evaluate": [{"a": "x"}]}, "a is a number, not 'x'"),
        ({"points_to_evaluate": [{"b": 1}]}, "a, b missing or unknown"),
        ({"points_to_evaluate": [{"a": 1}], "evaluated_rewards": [1.0, 2.0]}, "2 for 1 points_to_evaluate"),
        ({"mode": "up"}, "mode 'up': give both"),
        ({"strategy": "genetics"}, "did you mean 'genetic'"),
        ({"options": {"absent": 1}}, "has no option 'absent'"),
        ({"trials": 5}, "give num_samples"),
    ],
)
def test_wrong_arguments_are_one_line(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        made(space={"a": tune.randint(0, 6)}, **arguments)


def test_without_any_space_it_says_so() -> None:
    with pytest.raises(InputError, match="give the Tuner a param_space"):
        RaydgpSearcher().suggest("t")


@pytest.mark.parametrize("before", [True, False])
def test_saved_and_restored_it_goes_on_as_if_nothing_had_happened(tmp_path: Path, before: bool) -> None:
    points = [{"block": 64, "inner/rate": 0.0123456, "inner/layout": "NCHW", "alpha": 0.123456}]
    whole = drive(made(points_to_evaluate=points), 30)
    searcher = made(points_to_evaluate=points)
    drive(searcher, 12)
    searcher.save(str(tmp_path / "state"))
    json.loads((tmp_path / "state").read_text())
    if before:  # as Tune does when it resumes
        again = made(points_to_evaluate=points)
        again.restore(str(tmp_path / "state"))
    else:  # as users do for a new Tuner
        again = RaydgpSearcher(strategy="genetic", points_to_evaluate=points)
        again.restore(str(tmp_path / "state"))
        assert again.set_search_properties("loss", "min", SPACE)
    assert drive(again, 18) == whole[12:]


def test_a_slow_trial_keeps_nobody_from_learning() -> None:
    searcher = made()
    searcher.suggest("slow")
    drive(searcher, 5)
    searcher.suggest("next")
    assert len(searcher.search.strategy.told) == 5  # type: ignore[attr-defined]


def test_wrapped_it_is_limited_and_repeated() -> None:
    limited = ConcurrencyLimiter(RaydgpSearcher(strategy="random"), max_concurrent=2)
    assert limited.set_search_properties("loss", "min", SPACE)
    assert isinstance(limited.suggest("a"), dict)
    assert isinstance(limited.suggest("b"), dict)
    assert limited.suggest("c") is None
    inner = RaydgpSearcher(strategy="random")
    repeated = Repeater(inner, repeat=3)
    assert repeated.set_search_properties("loss", "min", SPACE)
    configs = [repeated.suggest(str(k)) for k in range(3)]
    for k, value in enumerate([1.0, math.nan, 3.0]):
        repeated.on_trial_complete(str(k), {"loss": value})
    assert len({json.dumps({**(config or {}), "__trial_index__": 0}) for config in configs}) == 1
    assert inner.search.measured == 1
    assert inner.search.best is not None


@pytest.mark.cluster
def test_a_tuner_searches_its_own_space(tmp_path: Path) -> None:
    fakes.start_ray()
    try:
        results = tune.Tuner(
            lambda config: tune.report({"loss": config["inner"]["a"] + config["b"] * config["fixed"]}),
            param_space={"inner": {"a": tune.randint(0, 4)}, "b": tune.choice([0.5, 1.5]), "fixed": 2},
            tune_config=tune.TuneConfig(
                search_alg=RaydgpSearcher(strategy="random"), num_samples=10, metric="loss", mode="min"
            ),
            run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
        ).fit()
    finally:
        ray.shutdown()
    assert len(results) == 8  # all there are
    assert results.get_best_result().config == {"inner": {"a": 0}, "b": 0.5, "fixed": 2}
