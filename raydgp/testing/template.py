"""What every schedule template keeps: whatever a valid configuration makes of a workload computes the workload."""

from __future__ import annotations

import numpy as np

from raydgp.measure.local import LocalMeasurer
from raydgp.settings import MeasureSettings
from raydgp.space import ConfigSpace
from raydgp.targets import Target
from raydgp.templates.spaces import config_space
from raydgp.workloads import Workload


class TemplateContract:
    """Derive from it, name the class `Test...`, and give a small workload whose sizes divide unevenly.

    Attributes:
        workload: what the template schedules.
        target: kind of target; this machine must have one.
        configurations: valid ones that are drawn, built, run and compared with the reference.
    """

    workload: Workload
    target: str = "llvm"
    configurations: int = 8

    def space(self) -> ConfigSpace:
        """The template's space of the workload."""
        return config_space(self.workload, self.target)

    def test_the_default_is_a_valid_configuration(self) -> None:
        space = self.space()
        assert space.valid(np.array([space.default])).all()

    def test_features_are_finite_and_tell_configurations_apart(self) -> None:
        space = self.space()
        drawn = space.sample_valid(500, np.random.default_rng(0))
        features = space.features(drawn)
        assert features.shape == (len(drawn), len(space.feature_names))
        assert np.isfinite(features).all()
        assert len(np.unique(features, axis=0)) == len(drawn)

    def test_knobs_encode_what_they_decode(self) -> None:
        space = self.space()
        for index in space.sample(50, np.random.default_rng(1)).tolist():
            assert space.encode(space.decode(index)) == index

    def test_the_space_is_the_same_every_time(self) -> None:
        assert self.space().hash == self.space().hash

    def test_valid_configurations_build_run_and_equal_the_reference(self) -> None:
        space = self.space()
        drawn = space.sample_valid(self.configurations, np.random.default_rng(2))
        settings = MeasureSettings(repeat=1, min_repeat_ms=0)
        with LocalMeasurer(Target.here(self.target), settings, workers=1) as measurer:
            measured = measurer.measure(space, np.unique([space.default, *drawn]))
        failed = {str(space.decode(m.index)): f"{m.status}: {m.error}" for m in measured if not m.ok}
        assert not failed
