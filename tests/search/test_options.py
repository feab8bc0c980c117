from typing import Any

import pytest

from raydgp import search
from raydgp.errors import InputError


@pytest.mark.parametrize(
    ("name", "given_options", "message"),
    [
        ("autotmv", {}, "did you mean 'autotvm'"),
        ("simplex", {}, "known are random"),
        ("bao", {"resample": 2}, "no option 'resample'; did you mean 'resamples'"),
        ("bted", {"plan_sise": 2}, "did you mean 'plan_size'"),
        ("random", {"mu": 1}, "no option 'mu'"),
        ("bao", {"centre": "middle"}, "option bao: centre"),
        ("autotvm", {"plan_size": 0}, "plan_size.*not 0"),
        ("autotvm", {"epsilon": 1.5}, "epsilon.*not 1.5"),
        ("autotvm", {"plan_size": "many"}, "plan_size.*not 'many'"),
        ("autotvm", {"preset": "smal"}, "did you mean 'small'"),
        ("autotvm", {"cost_model": "boosted_tree"}, "cost_model: unknown cost model.*did you mean 'boosted_trees'"),
        ("dgp+", {"kinds": ["tree"]}, "kinds: unknown kind.*did you mean 'trees'"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(conv, name, given_options, message):
    with pytest.raises(InputError, match=message) as caught:
        search.create(name, conv, **given_options)
    assert "\n" not in str(caught.value)


def test_options_of_base_classes_are_known_where_they_are_inherited():
    bted, bao = search.describe("bted"), search.describe("bao")
    assert {"picks", "pool", "plan_size", "chains"} <= set(bted)
    assert {"picks", "pool", "radius"} <= set(bao)
    assert "chains" not in bao


def test_options_go_over_the_preset(conv):
    strategy: Any = search.create("autotvm", conv, preset="small", chains=7)
    assert (strategy.options.plan_size, strategy.options.chains) == (16, 7)
    strategy = search.create("autotvm", conv, preset="small", plan_size=9)
    assert strategy.options.plan_size == 9


@pytest.mark.parametrize("name", search.names())
def test_every_strategy_has_a_small_preset_that_it_accepts(conv, name):
    assert search.create(name, conv, preset="small").name == name


@pytest.mark.parametrize("name", search.names())
def test_every_option_is_described_with_its_default(name):
    for option, schema in search.describe(name).items():
        assert schema["description"], option
        assert "default" in schema, option


def test_a_description_has_the_bounds_that_documents_print():
    described = search.describe("autotvm")
    assert described["plan_size"]["default"] == 64
    assert described["plan_size"]["exclusiveMinimum"] == 0
    assert described["loss"]["enum"] == ["rank", "reg"]
    assert (described["epsilon"]["minimum"], described["epsilon"]["maximum"]) == (0, 1)
