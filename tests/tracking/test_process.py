import os
import sqlite3
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from raydgp.errors import InputError
from raydgp.tracking import TrackerProcess, sync
from raydgp.tracking.database import prepare
from tests.support.tracked import bare_manifest


def test_by_default_database_and_artifacts_are_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bare_manifest().save(Path("runs/x"))
    assert sync(Path("runs/x")) == "sqlite:///mlflow.db, experiment resnet18-table-llvm"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mlartifacts", "mlflow.db", "runs"]
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("resnet18-table-llvm")
    assert experiment
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.artifact_uri.startswith((tmp_path / "mlartifacts" / "resnet18-table-llvm").as_uri())
    assert (run.info.run_name, run.info.status) == ("x", "FINISHED")


def test_a_database_that_a_full_disk_left_half_made_is_mended_with_a_line(tmp_path: Path) -> None:
    file = tmp_path / "m.db"
    with closing(sqlite3.connect(file)) as half:
        half.execute("create table registered_models (name text)")
        half.execute("create table metrics (key text)")
        half.commit()
    os.utime(file, (0, 0))
    bare_manifest(mlflow={"uri": f"sqlite:///{file}"}).save(tmp_path / "run")
    assert "m.db.half-made now and made anew" in sync(tmp_path / "run")
    assert MlflowClient(tracking_uri=f"sqlite:///{file}").get_experiment_by_name("resnet18-table-llvm")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.db", "m.db.half-made", "mlartifacts", "run"]


def test_the_draft_of_one_that_was_killed_is_removed_and_a_new_one_is_not(tmp_path: Path) -> None:
    old, new = tmp_path / ".mlflow.db.draft-old", tmp_path / ".mlflow.db.draft-new"
    for draft in (old, new):
        draft.mkdir()
        (draft / "mlflow.db").touch()
    os.utime(old, (0, 0))
    prepare(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mlflow.db.draft-new", "mlflow.db"]


def test_an_experiment_of_the_users_choice(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'm.db'}"
    bare_manifest(mlflow={"uri": uri, "experiment": "mine / ours"}).save(tmp_path / "run")
    sync(tmp_path / "run")
    assert MlflowClient(tracking_uri=uri).get_experiment_by_name("mine / ours")


@pytest.mark.slow
def test_the_follower_keeps_out_of_the_way(tmp_path: Path) -> None:
    bare_manifest(mlflow={"uri": f"sqlite:///{tmp_path / 'm.db'}"}).save(tmp_path / "run")
    sink = TrackerProcess(tmp_path / "run")
    sink.start()
    (follower,) = psutil.Process().children()
    assert os.getsid(follower.pid) == follower.pid  # Ctrl-C in the terminal does not reach it
    while not (tmp_path / "m.db").exists():
        assert follower.is_running()
    assert follower.nice() == 19
    assert sink.finish(timeout_s=240.0) is True
    assert not follower.is_running()


def test_finishing_what_was_never_started(tmp_path: Path) -> None:
    assert TrackerProcess(tmp_path).finish(timeout_s=0.0) is False


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a run"):
        sync(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mlflow": {"uri": "gopher://somewhere"}}, "gopher"),
        ({"mlflow": {"uri": "sqlite:////proc/nowhere/m.db"}}, "cannot be reached or refuses"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_tracked_is_explained_in_one_line(
    tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    bare_manifest(**settings).save(tmp_path / "run")
    with pytest.raises(InputError, match=message) as error:
        sync(tmp_path / "run")
    assert "\n" not in str(error.value)
