from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raydgp.space import choice, split
from raydgp.space.knobs import divisors


@given(st.integers(1, 5000))
def test_divisors_by_trial(extent: int) -> None:
    assert divisors(extent) == tuple(d for d in range(1, extent + 1) if extent % d == 0)


@given(st.integers(1, 60), st.integers(1, 4))
def test_splits_are_all_ordered_factorisations_once(extent: int, parts: int) -> None:
    knob = split("tile", extent, parts)
    every = {f for f in product(range(1, extent + 1), repeat=parts - 1) if extent % prod(f) == 0}
    assert {label[1:] for label in knob.labels} == every
    assert knob.size == len(every)
    assert all(prod(label) == extent for label in knob.labels)
    assert [tuple(row) for row in knob.values.tolist()] == list(knob.labels)


def test_splits_are_in_autotvms_order() -> None:
    """The papers' facts, 3.1: the last size slowest, size[1] fastest, through ascending divisors."""
    printed = [(1, 1), (2, 1), (4, 1), (1, 2), (2, 2), (1, 4)]
    assert [label[1:] for label in split("tile", 4, 3).labels] == printed


@given(st.integers(1, 200), st.integers(2, 4))
def test_the_order_is_that_of_the_reversed_factors(extent: int, parts: int) -> None:
    tails = [label[:0:-1] for label in split("tile", extent, parts).labels]
    assert tails == sorted(tails)


def test_counts_by_the_formula_of_prime_exponents() -> None:
    # prod C(e + k - 1, k - 1) over the prime exponents: 512 = 2^9 into 4, 360 = 2^3 3^2 5 into 3, a prime into 2
    assert split("t", 512, 4).size == 220
    assert split("t", 360, 3).size == 10 * 6 * 3
    assert split("t", 13, 2).size == 2
    assert split("t", 1, 4).size == 1


def test_a_filter_keeps_the_order_and_never_leaves_nothing() -> None:
    even = split("tile", 12, 2, keep=lambda factors: factors[:, 1] % 2 == 0)
    assert even.labels == ((6, 2), (3, 4), (2, 6), (1, 12))
    assert split("tile", 9, 2, keep=lambda factors: factors[:, 1] % 2 == 0).labels == split("tile", 9, 2).labels


def test_choices() -> None:
    numbers = choice("unroll", [0, 512, 1500])
    assert numbers.values.tolist() == [[0], [512], [1500]]
    assert numbers.labels == (0, 512, 1500)
    words = choice("order", ["nchw", "nhwc"])
    assert words.values.tolist() == [[0], [1]]
    assert words.labels == ("nchw", "nhwc")
    assert (words.size, words.width) == (2, 1)


def test_shared_tables_cannot_be_changed_by_accident() -> None:
    knob = split("tile", 8, 2)
    with pytest.raises(ValueError, match="read-only"):
        knob.values[0, 0] = 3
    assert np.array_equal(split("other", 8, 2).values, knob.values)
