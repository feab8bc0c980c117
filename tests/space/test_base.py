from collections.abc import Callable
from itertools import product
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raydgp import Conv2d, Dense, config_space
from raydgp.errors import InputError
from raydgp.space import Columns, ConfigSpace, Knob, choice, split
from raydgp.workloads import Workload

ANY = Dense(n=1, k=1, m=1)


def space_of(knobs: list[Knob], check: Callable[[Columns], Any] | None = None, workload: Workload = ANY) -> ConfigSpace:
    return ConfigSpace(workload, "llvm", "test.v1", knobs, {knob.name: knob.labels[0] for knob in knobs}, check)


@st.composite
def spaces(draw: st.DrawFn) -> ConfigSpace:
    """Small spaces of both kinds of knobs, knobs with a single option among them."""
    extents = draw(st.lists(st.integers(1, 24), min_size=1, max_size=3))
    knobs = [split(f"tile_{i}", extent, draw(st.integers(1, 3))) for i, extent in enumerate(extents)]
    if draw(st.booleans()):
        knobs.insert(draw(st.integers(0, len(knobs))), choice("unroll", [0, 16, 512][: draw(st.integers(1, 3))]))
    if draw(st.booleans()):
        knobs.append(choice("order", ["ab", "ba"]))
    return space_of(knobs)


rngs = st.integers(0, 2**32 - 1).map(np.random.default_rng)
one_in_three: Callable[[Columns], Any] = lambda c: c["tile_0"][:, -1] % 3 == 0  # noqa: E731


# --- index <-> knobs


@given(spaces(), st.data())
def test_decode_digits_and_encode_go_round(space: ConfigSpace, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, space.size - 1))
    knobs = space.decode(index)
    assert space.encode(knobs) == index
    as_from_json = {k: list(v) if isinstance(v, tuple) else v for k, v in knobs.items()}
    assert space.encode(as_from_json) == index
    digits = space.digits([index])
    assert digits.dtype == np.int64
    assert space.from_digits(digits).tolist() == [index]


@given(spaces())
def test_indices_count_through_the_options_with_the_first_knob_fastest(space: ConfigSpace) -> None:
    if space.size > 3000:
        return
    by_hand = [
        {knob.name: label for knob, label in zip(reversed(space.knobs), labels, strict=True)}
        for labels in product(*(knob.labels for knob in reversed(space.knobs)))
    ]
    assert [space.decode(i) for i in range(space.size)] == by_hand
    assert space.size == prod(knob.size for knob in space.knobs)


@given(spaces(), rngs)
def test_features_and_columns_against_one_by_one(space: ConfigSpace, rng: np.random.Generator) -> None:
    indices = rng.integers(space.size, size=7)
    features = space.features(indices)
    assert features.dtype == np.float32
    assert features.shape == (7, len(space.feature_names))
    for row, index in zip(features.tolist(), indices.tolist(), strict=True):
        scalar: list[float] = []
        for knob in space.knobs:
            value = space.decode(index)[knob.name]
            number = knob.labels.index(value) if isinstance(value, str) else value
            scalar += number if isinstance(number, tuple) else [number]
        assert row == scalar
    columns = space.columns(indices)
    assert np.array_equal(np.concatenate(list(columns.values()), axis=1), features)


@pytest.mark.parametrize("index", [-1, 12])
def test_an_index_outside_is_refused(index: int) -> None:
    space = space_of([split("tile", 12, 2), choice("unroll", [0, 1])])
    assert space.size == 12
    with pytest.raises(InputError, match=r"outside of 0\.\.11"):
        space.decode(index)
    with pytest.raises(InputError, match="outside of"):
        space.features([0, index])


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"tile": (3, 4)}, r"\['unroll'\] are missing or unknown"),
        ({"tile": (3, 4), "unroll": 0, "vector": 4}, r"\['vector'\]"),
        ({"tile": (5, 3), "unroll": 0}, r"tile has no option \(5, 3\)"),
        ({"tile": (3, 4), "unroll": 2}, "unroll has no option 2"),
    ],
)
def test_knobs_of_another_space_are_refused(knobs: dict[str, Any], message: str) -> None:
    space = space_of([split("tile", 12, 2), choice("unroll", [0, 1])])
    with pytest.raises(InputError, match=message):
        space.encode(knobs)


def test_empty_arrays_are_welcome_everywhere() -> None:
    space = config_space(Conv2d(n=1, ci=8, h=8, w=8, co=8, kh=3, kw=3), "cuda")
    none = np.zeros(0, np.int64)
    assert space.features(none).shape == (0, 20)
    assert space.valid(none).shape == (0,)
    assert space.digits(none).shape == (0, 8)
    assert space.random_walk(none, np.random.default_rng(0)).shape == (0,)
    assert space.sample(0, np.random.default_rng(0)).shape == (0,)


# --- identity


def test_the_hash_is_stable_and_tells_spaces_apart() -> None:
    def hash_of(extent: int = 12, options: tuple[Any, ...] = (0, 1), workload: Workload = ANY) -> str:
        return space_of([split("tile", extent, 2), choice("unroll", options)], workload=workload).hash

    assert hash_of() == "be9cf985edf3b294"  # journals are found again by it: it may never change by accident
    others = [
        hash_of(extent=18),
        hash_of(options=(0, 2)),
        hash_of(options=(1, 0)),
        hash_of(workload=Dense(n=2, k=1, m=1)),
    ]
    assert len({hash_of(), *others}) == 5


# --- sampling


@given(spaces(), st.integers(0, 60), rngs)
def test_sample_is_without_repetition(space: ConfigSpace, n: int, rng: np.random.Generator) -> None:
    drawn = space.sample(n, rng)
    assert drawn.dtype == np.int64
    assert len(set(drawn.tolist())) == len(drawn) == min(n, space.size)
    assert all(0 <= i < space.size for i in drawn)


def test_sampling_a_huge_space_takes_no_table_of_it() -> None:
    space = space_of([split(f"tile_{i}", 720720, 3) for i in range(4)])
    assert space.size > 2**48
    drawn = space.sample(10_000, np.random.default_rng(0))
    assert len(np.unique(drawn)) == 10_000
    assert np.array_equal(space.from_digits(space.digits(drawn)), drawn)


@given(spaces(), st.integers(0, 40), rngs)
def test_sample_valid_is_valid_unique_and_complete(space: ConfigSpace, n: int, rng: np.random.Generator) -> None:
    space = space_of(list(space.knobs), None if "tile_0" not in {k.name for k in space.knobs} else one_in_three)
    everything = np.flatnonzero(space.valid(np.arange(space.size)))
    drawn = space.sample_valid(n, rng)
    assert set(drawn.tolist()) <= set(everything.tolist())
    assert len(set(drawn.tolist())) == len(drawn) == min(n, len(everything))


def test_sample_valid_of_a_large_space_and_of_one_without_any() -> None:
    knobs = [split("tile_0", 720720, 3), split("tile_1", 720720, 3)]
    space = space_of(knobs, one_in_three)
    drawn = space.sample_valid(5000, np.random.default_rng(0))
    assert len(np.unique(drawn)) == 5000
    assert space.valid(drawn).all()
    for few in (1, 2):  # enumerated and drawn
        nothing = space_of(knobs[:few], lambda c: np.zeros(len(c["tile_0"]), bool))
        assert len(nothing.sample_valid(10**6, np.random.default_rng(0))) == 0


def test_sampling_is_uniform() -> None:
    space = space_of([split("tile_0", 12, 2), choice("unroll", [0, 1])], one_in_three)
    rng = np.random.default_rng(0)
    for draw, population in ((space.sample, 12), (space.sample_valid, 6)):
        counts = np.bincount(np.concatenate([draw(3, rng) for _ in range(4000)]), minlength=12)
        counts = counts[counts > 0]
        assert len(counts) == population
        expected = 12_000 / population
        assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


@given(spaces(), st.integers(0, 2**32 - 1))
def test_the_same_stream_gives_the_same_draws(space: ConfigSpace, seed: int) -> None:
    def draws() -> list[list[int]]:
        rng = np.random.default_rng(seed)
        first = space.sample(5, rng)
        return [first.tolist(), space.sample_valid(5, rng).tolist(), space.random_walk(first, rng).tolist()]

    assert draws() == draws()


# --- moving


@settings(max_examples=60)
@given(spaces(), st.data(), st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0, 4.5]))
def test_neighbours_by_brute_force(space: ConfigSpace, data: st.DataObject, radius: float) -> None:
    if space.size > 20_000:
        return
    index = data.draw(st.integers(0, space.size - 1))
    digits = space.digits(np.arange(space.size))
    squares = ((digits - digits[index]) ** 2).sum(axis=1)
    expected = np.flatnonzero((squares <= radius**2) & (squares > 0))
    assert space.neighbours(index, radius).tolist() == expected.tolist()


@given(spaces(), rngs)
def test_a_random_walk_changes_exactly_one_knob(space: ConfigSpace, rng: np.random.Generator) -> None:
    start = rng.integers(space.size, size=50)
    kept = start.copy()
    moved = space.random_walk(start, rng)
    assert np.array_equal(start, kept)
    changes = (space.digits(moved) != space.digits(start)).sum(axis=1)
    assert set(changes.tolist()) == ({1} if space.size > 1 else {0})


def test_a_random_walk_reaches_every_option_of_every_knob_evenly() -> None:
    space = space_of([split("tile", 4, 2), choice("unroll", [0, 1])])
    start = np.full(9000, space.encode({"tile": (2, 2), "unroll": 0}))
    moved, counts = np.unique(space.random_walk(start, np.random.default_rng(0)), return_counts=True)
    ways = {tuple(space.decode(i).values()): n for i, n in zip(moved, counts, strict=True)}
    assert set(ways) == {((4, 1), 0), ((1, 4), 0), ((2, 2), 1)}
    assert ways[(2, 2), 1] == pytest.approx(4500, rel=0.1)
    assert ways[(4, 1), 0] == pytest.approx(2250, rel=0.1)


# --- the way in


def test_a_space_that_int64_cannot_number_is_refused() -> None:
    with pytest.raises(InputError, match="too many"):
        space_of([split(f"tile_{i}", 720720, 4) for i in range(5)])


def test_unknown_targets_and_missing_templates() -> None:
    with pytest.raises(InputError, match="unknown target 'fpga'; known are llvm, cuda"):
        config_space(ANY, "fpga")

    class Odd(Dense):
        op = "odd"

    with pytest.raises(InputError, match="no schedule template for odd on cuda"):
        config_space(Odd(n=1, k=1, m=1), "cuda")
