"""Spaces of named parameters: what models see of each kind, which configurations are valid, and what is refused."""

import json
from typing import Any

import numpy as np
import pytest

from raydgp import config_space, search
from raydgp.errors import InputError
from raydgp.space import ConfigSpace, parameters
from raydgp.space.parametric import parameter_space
from raydgp.space.thinning import thinned
from raydgp.workloads import Parametric, from_dict

OPTIONS: dict[str, Any] = {
    "block": [16, 32, 64],
    "tile": [1, 3, 6],
    "shift": [-2, 0, 2],
    "layout": ["NHWC", "NCHW", "CHWN"],
    "padded": [False, True],
    "alpha": (0.0, 1.0),
    "rate": [0.25, 0.5, 1.0],
}


def column(space: ConfigSpace, name: str) -> list[float]:
    """What models see of the options of the only parameter, in order."""
    return space.features(np.arange(space.size))[:, space.feature_names.index(name)].tolist()


@pytest.mark.parametrize(
    ("options", "columns"),
    [
        ([16, 64, 32], {"p": [4, 6, 5]}),
        ([1, 3, 6], {"p": [1, 3, 6]}),
        ([-2, 0, 2], {"p": [-0.5, 0, 0.5]}),
        ([0.25, 0.5, 1.25], {"p": [-0.5, -0.25, 0.5]}),
        ([False, True], {"p": [0, 1]}),
        (["a", "b", "c"], {"p=a": [1, 0, 0], "p=b": [0, 1, 0], "p=c": [0, 0, 1]}),
        (["auto", 4], {"p=auto": [1, 0], "p=4": [0, 1]}),
    ],
)
def test_features_follow_the_kind_of_the_parameter(options: list[Any], columns: dict[str, list[float]]) -> None:
    space = parameters({"p": options})
    assert space.feature_names == list(columns)
    assert {name: column(space, name) for name in columns} == columns
    assert [space.decode(index)["p"] for index in range(space.size)] == options


def test_a_range_is_evenly_spaced_and_starts_in_its_middle() -> None:
    space = parameters({"alpha": (0.0, 2.0)})
    values = [space.decode(index)["alpha"] for index in range(space.size)]
    assert (values[0], values[-1], space.decode(space.default)["alpha"]) == (0.0, 2.0, 1.0)
    assert np.allclose(np.diff(values), 2.0 / (space.size - 1))
    assert np.allclose(np.diff(column(space, "alpha")), 1.0 / (space.size - 1))


def test_many_ranges_are_coarser_so_that_numbers_fit() -> None:
    space = parameters({f"x{k}": (0.0, 1.0) for k in range(12)})
    assert 2**58 < space.size < 2**63
    assert all(knob.size % 2 for knob in space.knobs)


def test_restrictions_of_both_kinds_say_what_is_valid() -> None:
    allowed = lambda p: (p["alpha"] < 0.5) | p["padded"]  # noqa: E731
    space = parameters(OPTIONS, ["block * tile <= 100", "layout == 'NHWC' or not padded", allowed])
    indices = space.sample(2000, np.random.default_rng(0))
    by_hand = [
        k["block"] * k["tile"] <= 100
        and (k["layout"] == "NHWC" or not k["padded"])
        and (k["alpha"] < 0.5 or k["padded"])
        for k in map(space.decode, indices.tolist())
    ]
    assert 100 < sum(by_hand) < 1900
    assert space.valid(indices).tolist() == by_hand
    assert space.valid([space.default])[0]


def test_a_space_is_made_again_of_its_workloads_json() -> None:
    allowed = lambda p: p["alpha"] < 0.5  # noqa: E731
    space = parameters(OPTIONS, ["block * tile <= 100", allowed], name="a kernel", operations=7)
    again = config_space(from_dict(json.loads(json.dumps(space.workload.to_dict()))), "function")
    assert again.hash == space.hash
    assert again.workload == space.workload
    assert (again.workload.flops, again.workload.group) == (7, "parametric_a_kernel")
    indices = space.sample(500, np.random.default_rng(0))
    assert (again.valid(indices) == space.valid(indices)).all()


def test_a_function_has_one_name_for_the_same_code_and_other_names_for_others() -> None:
    def allowed(limit: int) -> Any:
        return lambda p: p["a"] < limit

    made = [parameters({"a": [1, 2, 3]}, [allowed(limit)]) for limit in (3, 3, 2)]
    assert made[0].hash == made[1].hash != made[2].hash
    assert [space.valid([0, 1, 2]).tolist() for space in made] == [[True, True, False]] * 2 + [[True, False, False]]


def test_a_function_that_is_not_here_is_asked_for() -> None:
    workload = Parametric(name="f", parameters='{"a": [1, 2]}', restrictions=("function:absent-00000000",))
    with pytest.raises(InputError, match="absent-00000000' is a function of the program that made the space"):
        config_space(workload, "function")


def test_known_configurations_are_the_valid_ones_also_of_a_sub_space() -> None:
    whole = parameters({"a": [3, 1, 2], "b": ["x", "y"], "c": [0.5, 1.5]})
    known = np.array([1, 4, 7, 11])
    assert isinstance(whole.workload, Parametric)
    space = parameter_space(whole.workload, only=known)
    assert np.flatnonzero(space.valid(np.arange(12))).tolist() == known.tolist()
    part = space.restricted({"a": [1, 2]})
    kept = [part.decode(index) for index in np.flatnonzero(part.valid(np.arange(part.size))).tolist()]
    assert kept == [knobs for knobs in map(space.decode, known.tolist()) if knobs["a"] != 3]


def test_it_can_be_searched_thinned_and_walked() -> None:
    space = parameters(OPTIONS, ["block * tile <= 100"])
    assert thinned(space, 50).valid(np.arange(thinned(space, 50).size)).sum() <= 50
    strategy = search.create("bted", space, preset="small")
    assert space.valid(strategy.ask(8)).all()
    assert len(space.neighbours(space.default, 1)) > 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give a mapping of names to options"),
        ([1], "give a mapping of names to options"),
        ({1: [2]}, "a name is a text, not 1"),
        ({"a": []}, "'a' has no options"),
        ({"a": "NHWC"}, "'a': give a list of options or a range"),
        ({"a": 5}, "'a': give a list of options or a range"),
        ({"a": [None]}, "'a': None is no whole number"),
        ({"a": [float("nan")]}, "'a': nan is no whole number"),
        ({"a": [1, 1]}, "'a': an option is there twice"),
        ({"a": (1, 4)}, r"'a': a range is of fractions, \(1.0, 4.0\); whole numbers are a list, list\(range\(1, 5\)\)"),
        ({"a": (2.0, 1.0)}, "'a': 2.0 is not below 1.0"),
        ({"a": (1.0,)}, "'a': a range is"),
        ({"a": (0.0, float("inf"))}, "'a': a range is"),
        ({f"x{k}": (0.0, 1.0) for k in range(50)}, "50 ranges"),
        ({f"x{k}": list(range(1000)) for k in range(7)}, "too many"),
    ],
)
def test_wrong_options_are_one_line(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parameters(options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("restrictions", "message"),
    [
        ("a < 2", "give a list of them"),
        ([5], "restriction 5: give an expression"),
        (["b < 2"], "unknown parameter 'b'"),
        (["a > 100"], "none of 3 configurations"),
        (["a + 'x' == 1"], "cannot be computed"),
        ([lambda p: p["zz"]], "failed: KeyError: 'zz'"),
        ([lambda p: 3], r"gave int64\[\] for 1 configurations"),
    ],
)
def test_wrong_restrictions_are_one_line(restrictions: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parameters({"a": [1, 2, 3]}, restrictions)
    assert "\n" not in str(caught.value)
