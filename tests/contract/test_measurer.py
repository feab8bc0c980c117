"""The measurers keep the contract, and what only those keep that really measure."""

from functools import cache

import numpy as np
import pytest

from raydgp import Conv2d, config_space
from raydgp.errors import InputError
from raydgp.measure.local import LocalMeasurer
from raydgp.measure.replay import ReplayMeasurer
from raydgp.records import Measurement, Phases, Status
from raydgp.records.recorded import RecordedSpace
from raydgp.settings import MeasureSettings
from raydgp.space import ConfigSpace, choice
from raydgp.targets import Target
from raydgp.testing import FaultRates, FaultyMeasurer, MeasurerContract

WORKLOAD = Conv2d(n=1, ci=16, h=6, w=6, co=16, kh=3, kw=3, padding=(1, 1))
SETTINGS = MeasureSettings(repeat=2, min_repeat_ms=1)


def local():
    return LocalMeasurer(Target.here("llvm"), SETTINGS, workers=1)


class OnThisMachine(MeasurerContract):
    @classmethod
    @cache
    def space(cls):
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

    def test_what_ran_says_where_and_how(self, outcomes):
        for outcome in outcomes:
            assert outcome.time_unix_s > 1.6e9
            if outcome.ok:
                assert len(outcome.times_s) == SETTINGS.repeat
                assert outcome.device["threads"] >= 1
                assert outcome.versions["tvm"]

    def test_a_space_of_another_target_is_refused(self, measurer):
        other = config_space(WORKLOAD, "cuda")
        with pytest.raises(InputError, match="cuda"):
            measurer.measure(other, np.array([other.default]))

    def test_two_spaces_in_turn(self, measurer):
        larger = config_space(Conv2d(n=1, ci=16, h=8, w=8, co=32, kh=1, kw=1), "llvm")
        for each in (self.space(), larger, self.space()):
            (outcome,) = measurer.measure(each, np.array([each.default]))
            assert outcome.index == each.default
            assert outcome.status is not Status.INVALID


class TestLocal(OnThisMachine):
    @classmethod
    def make(cls):
        return local()


class TestFaultless(OnThisMachine):
    @classmethod
    def make(cls):
        return FaultyMeasurer(local(), FaultRates(), seed=0)


class TestFaulty(OnThisMachine):
    @classmethod
    def make(cls):
        return FaultyMeasurer(local(), FaultRates(crash=0.2, hang=0.1, wrong=0.2, nan=0.2), seed=0)


class TestReplay(MeasurerContract):
    """Of what a formula says of all configurations."""

    @classmethod
    def make(cls):
        space = cls.space()
        indices = np.flatnonzero(space.valid(np.arange(space.size)))
        phases = Phases(build_s=0.1, run_s=0.1)
        measured = [
            Measurement(index=int(i), status=Status.OK, times_s=(1e-3 + 1e-6 * i,), phases=phases, device={"name": "x"})
            for i in indices
        ]
        return ReplayMeasurer(RecordedSpace.of("net/task", space, measured))

    @classmethod
    @cache
    def space(cls):
        knobs = [choice("a", range(9)), choice("b", range(9))]
        even = lambda columns: (columns["a"] + columns["b"])[:, 0] % 2 == 0  # noqa: E731
        return ConfigSpace(WORKLOAD, "cuda", "lattice", knobs, {"a": 0, "b": 0}, even)
