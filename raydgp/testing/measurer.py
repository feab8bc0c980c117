"""What every measurer keeps, see `raydgp.measure.Measurer`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import numpy as np
import pytest

from raydgp.errors import InputError
from raydgp.measure import Measurer
from raydgp.records import Measurement, Status
from raydgp.space import ConfigSpace, Indices


class MeasurerContract:
    """Derive from it, name the class `Test...`, and define `make` and `space` as class methods."""

    @classmethod
    def make(cls) -> Measurer:
        """A measurer that is ready to measure."""
        raise NotImplementedError

    @classmethod
    def space(cls) -> ConfigSpace:
        """A space that it measures, with configurations that are statically invalid."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def measurer(cls) -> Iterator[Measurer]:
        with cls.make() as made:
            yield made

    @pytest.fixture(scope="class")
    @classmethod
    def indices(cls) -> Indices:
        """The default, some that are like it, and invalid ones, mixed."""
        rng, space = np.random.default_rng(0), cls.space()
        drawn = space.sample(400, rng)
        valid = space.valid(drawn)
        return rng.permutation(np.concatenate([[space.default], drawn[valid][:3], drawn[~valid][:3]]))

    @pytest.fixture(scope="class")
    @classmethod
    def outcomes(cls, measurer: Measurer, indices: Indices) -> list[Measurement]:
        return measurer.measure(cls.space(), indices)

    def test_one_outcome_for_each_configuration_in_the_order_asked(
        self, outcomes: list[Measurement], indices: Indices
    ) -> None:
        assert [outcome.index for outcome in outcomes] == indices.tolist()

    def test_the_statically_invalid_ones_and_no_others_are_invalid(
        self, outcomes: list[Measurement], indices: Indices
    ) -> None:
        valid = self.space().valid(indices).tolist()
        assert len(set(valid)) == 2, "the space has no configuration that is invalid"
        assert [outcome.status is not Status.INVALID for outcome in outcomes] == valid

    def test_ok_is_a_finite_median_and_failure_an_infinite_one(self, outcomes: list[Measurement]) -> None:
        for outcome in outcomes:
            assert math.isfinite(outcome.median_s) == outcome.ok
            assert (outcome.gflops(10**9) > 0) == outcome.ok
            if outcome.ok:
                assert outcome.device["name"]
                assert outcome.phases.build_s > 0
                assert outcome.phases.run_s > 0
            elif outcome.status is not Status.OK:
                assert outcome.times_s == ()
                assert outcome.error
            assert "\n" not in outcome.error

    def test_outcomes_survive_json(self, outcomes: list[Measurement]) -> None:
        for outcome in outcomes:
            again = Measurement.from_dict(json.loads(json.dumps(outcome.to_dict())))
            assert repr(again) == repr(outcome)

    def test_one_configuration_twice_in_a_batch_has_two_outcomes(self, measurer: Measurer) -> None:
        default = self.space().default
        first, second = measurer.measure(self.space(), np.array([default, default]))
        assert (first.index, first.status) == (second.index, second.status)

    def test_nothing_asked_nothing_measured(self, measurer: Measurer) -> None:
        assert measurer.measure(self.space(), np.zeros(0, np.int64)) == []

    def test_an_index_of_another_space_is_refused(self, measurer: Measurer) -> None:
        with pytest.raises(InputError):
            measurer.measure(self.space(), np.array([self.space().size]))

    def test_closing_twice_is_closing(self) -> None:
        made = self.make()
        made.close()
        made.close()
