"""Whole spaces measured: nothing is lost or measured twice for nothing, and the best is not the luckiest."""

import numpy as np
import pytest

from raydgp.app.history.recording import record
from raydgp.errors import InputError, RaydgpError
from raydgp.measure.replay import ReplayMeasurer
from raydgp.records import Measurement, Resources, Status
from raydgp.records.recorded import RecordedSpace, is_recorded
from raydgp.space.thinning import fix, thinned
from raydgp.targets import Target
from raydgp.templates.spaces import config_space

TARGET = Target.named("llvm")


def run(made, path, measurer, space=None):
    return record("net/conv", space or made.space_of(16), TARGET, measurer, path, lambda *_: None)


def test_every_valid_configuration_is_there_and_only_they(made):
    for recorded in made.spaces:
        everything = np.arange(recorded.space.size)
        np.testing.assert_array_equal(recorded.indices, everything[recorded.space.valid(everything)])
        np.testing.assert_allclose(
            recorded.median_s, 1.01 * made.latency_s(recorded.space, recorded.indices), rtol=1e-5
        )


def test_what_may_be_the_best_is_measured_three_times(made, tmp_path):
    measurer = made.Formula()
    recorded = run(made, tmp_path / "a.parquet", measurer)
    times = np.array([measurer.measured.count(index) for index in recorded.indices])
    near = recorded.median_s <= 1.1 * recorded.median_s.min()
    np.testing.assert_array_equal(times, np.where(near, 3, 1))
    np.testing.assert_array_equal(np.isfinite(recorded.times_s).sum(axis=1), 3 * times)


def test_a_recording_that_was_stopped_goes_on(made, tmp_path):
    path, first = tmp_path / "a.parquet", made.Formula(stop_after=64)
    with pytest.raises(KeyboardInterrupt):
        run(made, path, first)
    assert not path.exists()
    second, whole = made.Formula(), made.Formula()
    resumed, at_once = run(made, path, second), run(made, tmp_path / "b.parquet", whole)
    assert sorted(first.measured + second.measured) == sorted(whole.measured)
    np.testing.assert_array_equal(resumed.times_s, at_once.times_s)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.parquet", "b.parquet"]


def test_resources_are_kept(made, tmp_path):
    used = (Resources(kernel="main_kernel", registers=64, spill_bytes=0, shared_bytes=4096),)
    indices = made.spaces[0].indices
    measured = [Measurement(index=int(i), status=Status.OK, times_s=(1e-3,), resources=used) for i in indices]
    RecordedSpace.of("net/conv", made.spaces[0].space, measured).save(tmp_path / "a.parquet")
    assert RecordedSpace.load(tmp_path / "a.parquet").measurement(3).resources == used
    assert RecordedSpace.load(made.paths[0]).measurement(3).resources == ()


def test_failures_are_kept(made, tmp_path):
    recorded = run(made, tmp_path / "a.parquet", made.Formula(broken=7))
    failed = recorded.indices % 7 == 6
    assert failed.any()
    assert ((recorded.status == Status.RUN_ERROR) == failed).all()
    assert ((recorded.gflops == 0) == failed).all()


def test_a_machine_on_which_nothing_runs_leaves_no_recording(made, tmp_path):
    with pytest.raises(RaydgpError, match="none of 32 configurations ran"):
        run(made, tmp_path / "a.parquet", made.Formula(broken=1))
    recorded = run(made, tmp_path / "a.parquet", made.Formula())
    assert (recorded.status == Status.OK).all()


def test_a_file_says_what_it_is(made, tmp_path):
    assert is_recorded(made.paths[0])
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(InputError, match=r"text\.parquet: not a Parquet file"):
        is_recorded(tmp_path / "text.parquet")
    with pytest.raises(InputError, match="not a recorded space"):
        RecordedSpace.load(tmp_path / "text.parquet")


def test_replay_refuses_another_space(made):
    with pytest.raises(InputError, match="recorded in space"):
        ReplayMeasurer(made.spaces[0]).measure(made.spaces[1].space, np.array([0]))


def test_replay_answers_with_what_was_recorded_and_charges_its_time(made):
    recorded, replay = made.spaces[0], ReplayMeasurer(made.spaces[0])
    outcomes = replay.measure(recorded.space, recorded.indices[:5])
    assert [outcome.index for outcome in outcomes] == recorded.indices[:5].tolist()
    assert [outcome.median_s for outcome in outcomes] == recorded.median_s[:5].tolist()
    assert replay.charged_s == pytest.approx(5 * 0.15)


def test_a_fixed_knob_keeps_one_option_and_others_more(made):
    whole = config_space(made.space_of(64).workload, "llvm")
    fixed = thinned(fix(whole, ["inner=points", "parallel=2"]), 150)
    sizes = {knob.name: knob.size for knob in fixed.knobs}
    assert (sizes["inner"], sizes["parallel"]) == (1, 1)
    assert fixed.decode(fixed.default)["inner"] == "points"
    assert sizes["tile_ci"] >= {knob.name: knob.size for knob in thinned(whole, 150).knobs}["tile_ci"]


@pytest.mark.parametrize(("assignment", "names"), [("inner=lanes", "points"), ("order", "co_oh"), ("x=1", "tile_co")])
def test_a_knob_that_cannot_be_fixed(made, assignment, names):
    with pytest.raises(InputError, match=names):
        fix(made.space_of(16), [assignment])
