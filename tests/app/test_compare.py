"""Comparisons: what a search is credited with, what the table says of many, and that no model saw its task."""

import numpy as np
import pandas as pd
import pytest

from raydgp.app.compare.compare import check, compare
from raydgp.app.compare.leave_one_out import make_without
from raydgp.app.compare.predictions import predictions
from raydgp.app.compare.trajectory import follow
from raydgp.errors import InputError
from raydgp.settings import CompareSettings
from raydgp.surrogates.artefact import read_card
from tests.support.recordings import kernel, recording


def test_a_grid_search_reaches_each_share_where_the_order_says(made):
    recorded = made.spaces[0]
    went = follow(recorded, "grid", {}, seed=0, trials=1000, batch=8)
    relative = np.maximum.accumulate(recorded.gflops) / recorded.gflops.max()
    for share in (0.5, 0.95, 0.99, 1.0):
        assert went.measurements_to(share) == np.flatnonzero(relative >= share)[0] + 1
    batches = np.ceil(went.measurements_to(1.0) / 8)
    assert went.seconds_to(1.0) == pytest.approx(min(8 * batches, len(relative)) * 0.15, rel=0.5)


def test_patience_ends_a_search_that_finds_nothing_better_and_not_at_the_best(made):
    recorded = made.spaces[0]
    went = follow(recorded, "grid", {}, seed=0, trials=1000, batch=8, patience=20)
    rises = np.flatnonzero(np.diff(went.quality, prepend=0) > 0)
    assert len(went.quality) == rises[-1] + 1 + 20
    assert np.diff(rises).max() <= 20
    assert went.build_s == pytest.approx(0.1 * len(went.quality))


def test_runners_share_the_work_and_each_measurement_takes_as_long(made):
    recorded = made.spaces[1]
    alone, many = (follow(recorded, "random", {}, 0, 1000, 8, runners, patience=1000) for runners in (1, 16))
    assert len(alone.quality) == len(many.quality) == len(recorded.indices)
    rounds = 4 + np.ceil((len(many.quality) - 4 * 8) / 16)  # 8 are out until 32, twice as many, are known
    assert many.seconds[-1] - many.thinking_s == pytest.approx(rounds * 0.15)
    assert alone.seconds[-1] - alone.thinking_s == pytest.approx(len(alone.quality) * 0.15)


def test_a_search_that_is_cut_off_never_gets_there(made):
    went = follow(made.spaces[2], "random", {}, seed=0, trials=2, batch=2)
    assert len(went.quality) == 2
    assert went.measurements_to(1.0) == np.inf == went.seconds_to(1.0)


def test_all_strategies_on_all_spaces_with_all_seeds(made):
    settings = CompareSettings(strategies={"random": {}, "mine": {"strategy": "genetic", "population": 8}}, seeds=2)
    seen = []
    table = compare(made.paths, settings, lambda *what: seen.append(what))
    assert len(table) == 3 * 2 * 2
    assert set(table["strategy"]) == {"random", "mine"}
    assert seen[-1] == ("searches", 12, 12)
    assert np.isfinite(table["measurements_100"]).all()  # a whole space of 150 is within the budget
    again = compare(made.paths, settings, lambda *_: None)
    columns = [name for name in table if not str(name).startswith(("seconds", "thinking", "score"))]
    pd.testing.assert_frame_equal(table[columns], again[columns])


def test_what_learns_from_other_devices_gets_their_recordings_of_the_same_kernel(tmp_path):
    kernels = [kernel(name, size=list(range(1, 41)), **{name: [0, 1]}) for name in ("one", "two", "three")]
    times = {kernels[0]: np.random.default_rng(0).permutation(80) + 1.0}
    files = [recording(tmp_path, device, each, times.get(each, range(1, 81))) for device in "ab" for each in kernels]
    settings = CompareSettings(
        strategies={"portfolio": {}, "dgp+": {}}, seeds=1, trials=20, models_dir=tmp_path / "models"
    )
    table = compare(files, settings, lambda *_: None)
    assert len(table) == 12
    assert (table[table["strategy"] == "portfolio"]["measurements_100"] <= 2).all()  # the default is first


@pytest.mark.parametrize("strategies", [{"randon": {}}, {"mine": {"strategy": "random", "plan": 3}}], ids=str)
def test_what_is_misspelt_is_refused(made, strategies):
    with pytest.raises(InputError):
        check(made.paths, CompareSettings(strategies=strategies))


def test_a_model_never_saw_the_task_that_it_is_compared_on(made, tmp_path):
    folder = make_without(made.paths[0], made.paths, tmp_path, epochs=2)
    cards = [read_card(path) for path in sorted(folder.iterdir())]
    assert [card.kind for card in cards] == ["deepgp", "trees"]
    own = made.spaces[0].space.workload
    for card in cards:
        assert [workload["ci"] for workload in card.workloads] == [32, 64]
        assert own.ci not in [workload["ci"] for workload in card.workloads]
    written = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    make_without(made.paths[0], made.paths, tmp_path, epochs=2)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == written


def test_alone_a_space_is_searched_without_a_model(made, tmp_path):
    settings = CompareSettings(strategies={"dgp+": {}}, seeds=1, trials=16, models_dir=tmp_path)
    table = compare(made.paths[:1], settings, lambda *_: None)
    assert len(table) == 1
    assert 1 <= table["sampled"][0] <= 16
    assert not len(predictions(made.paths[:1], settings))


def test_predictions_are_those_of_models_that_had_not_seen_the_task(made, tmp_path):
    settings = CompareSettings(strategies={"dgp+": {}}, models_dir=tmp_path)
    for path in made.paths[:2]:
        make_without(path, made.paths, tmp_path, epochs=2)
    table = predictions(made.paths, settings)
    assert {(task, kind) for task, kind in zip(table["task"], table["kind"], strict=True)} == {
        (recorded.name, kind) for recorded in made.spaces[:2] for kind in ("deepgp", "trees")
    }
    for recorded in made.spaces[:2]:
        group = table[(table["task"] == recorded.name) & (table["kind"] == "trees")]
        assert len(group) == min(200, (recorded.gflops > 0).sum())
        assert group["measured"].isin(recorded.gflops / recorded.gflops.max()).all()
        assert group["predicted"].max() <= 1
    assert not len(predictions(made.paths, CompareSettings(strategies={"random": {}}, models_dir=tmp_path)))
