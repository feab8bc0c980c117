"""What every measurer keeps."""

import json
import math

import numpy as np
import pytest

from raydgp import Conv2d, config_space
from raydgp.errors import InputError
from raydgp.measure.faulty import FaultRates, FaultyMeasurer
from raydgp.measure.local import LocalMeasurer
from raydgp.records import Measurement, Status
from raydgp.settings import MeasureSettings
from raydgp.space import ConfigSpace
from raydgp.targets import Target

WORKLOAD = Conv2d(n=1, ci=16, h=6, w=6, co=16, kh=3, kw=3, padding=(1, 1))
SETTINGS = MeasureSettings(repeat=2, min_repeat_ms=1)


def local():
    return LocalMeasurer(Target.here("llvm"), SETTINGS, workers=1)


def faultless():
    return FaultyMeasurer(local(), FaultRates(), seed=0)


def faulty():
    return FaultyMeasurer(local(), FaultRates(crash=0.2, hang=0.1, wrong=0.2, nan=0.2), seed=0)


@pytest.fixture(scope="module", params=[local, faultless, faulty])
def measurer(request):
    with request.param() as made:
        yield made


@pytest.fixture(scope="module")
def space():
    """Tiles of one row, the others statically invalid."""
    whole = config_space(WORKLOAD, "llvm")
    default = whole.decode(whole.default)
    return ConfigSpace(
        whole.workload,
        "llvm",
        whole.template,
        whole.knobs,
        default,
        check=lambda columns: columns["tile_oh"][:, 0] == default["tile_oh"],
    )


@pytest.fixture(scope="module")
def indices(space):
    """The default, its like, and invalid ones, mixed."""
    rng = np.random.default_rng(0)
    drawn = space.sample(400, rng)
    valid = space.valid(drawn)
    return rng.permutation(np.concatenate([[space.default], drawn[valid][:3], drawn[~valid][:3]]))


@pytest.fixture(scope="module")
def outcomes(measurer, space, indices):
    return measurer.measure(space, indices)


def test_one_outcome_for_each_configuration_in_the_order_asked(outcomes, indices):
    assert [outcome.index for outcome in outcomes] == indices.tolist()


def test_the_statically_invalid_ones_and_no_others_are_invalid(outcomes, space, indices):
    assert [outcome.status is not Status.INVALID for outcome in outcomes] == space.valid(indices).tolist()


def test_ok_is_a_finite_median_of_all_repeats_and_failure_an_infinite_one(outcomes):
    for outcome in outcomes:
        assert math.isfinite(outcome.median_s) == outcome.ok
        assert (outcome.gflops(WORKLOAD.flops) > 0) == outcome.ok
        if outcome.ok:
            assert len(outcome.times_s) == SETTINGS.repeat
            assert outcome.device["name"]
            assert outcome.device["threads"] >= 1
            assert outcome.versions["tvm"]
            assert outcome.phases.build_s > 0
            assert outcome.phases.run_s > 0
        elif outcome.status is not Status.OK:
            assert outcome.times_s == ()
            assert outcome.error
        assert "\n" not in outcome.error
        assert outcome.time_unix_s > 1.6e9


def test_outcomes_survive_json(outcomes):
    for outcome in outcomes:
        again = Measurement.from_dict(json.loads(json.dumps(outcome.to_dict())))
        assert repr(again) == repr(outcome)


def test_one_configuration_twice_in_a_batch_has_two_outcomes(measurer, space):
    first, second = measurer.measure(space, np.array([space.default, space.default]))
    assert (first.index, first.status) == (second.index, second.status)


def test_nothing_asked_nothing_measured(measurer, space):
    assert measurer.measure(space, np.zeros(0, np.int64)) == []


def test_an_index_of_another_space_is_refused(measurer, space):
    with pytest.raises(InputError):
        measurer.measure(space, np.array([space.size]))


def test_a_space_of_another_target_is_refused(measurer):
    other = config_space(WORKLOAD, "cuda")
    with pytest.raises(InputError, match="cuda"):
        measurer.measure(other, np.array([other.default]))


def test_two_spaces_in_turn(measurer, space):
    larger = config_space(Conv2d(n=1, ci=16, h=8, w=8, co=32, kh=1, kw=1), "llvm")
    for each in (space, larger, space):
        (outcome,) = measurer.measure(each, np.array([each.default]))
        assert outcome.index == each.default
        assert outcome.status is not Status.INVALID


def test_closing_twice_is_closing():
    made = local()
    made.close()
    made.close()
