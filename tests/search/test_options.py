import pytest

from raydgp import search
from raydgp.errors import InputError
from raydgp.search import options


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
    ],
)
def test_what_is_wrong_is_named_in_one_line(conv, name, given_options, message):
    with pytest.raises(InputError, match=message) as caught:
        search.create(name, conv, **given_options)
    assert "\n" not in str(caught.value)


def test_options_of_base_classes_are_known_where_they_are_handed_on(conv):
    bted = options.known(type(search.create("bted", conv)))
    bao = options.known(type(search.create("bao", conv)))
    assert {"picks", "pool", "plan_size", "chains"} <= set(bted)
    assert {"picks", "pool", "radius"} <= set(bao)
    assert "chains" not in bao


def test_options_go_over_the_preset(conv):
    strategy = search.create("autotvm", conv, preset="small", chains=7)
    assert (strategy.plan_size, strategy.chains) == (16, 7)
    assert search.create("autotvm", conv, preset="small", plan_size=9).plan_size == 9


@pytest.mark.parametrize("name", search.names())
def test_every_strategy_has_a_small_preset_that_it_accepts(conv, name):
    assert search.create(name, conv, preset="small").name == name
