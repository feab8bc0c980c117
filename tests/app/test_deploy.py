"""From a run to a folder that runs with TVM alone: a run written by hand, everything after it real."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from raydgp.app.deploy import Deployment, Tools, deploy_run
from raydgp.app.observer import SilentObserver
from raydgp.cli import profiling
from raydgp.errors import InputError
from raydgp.models.folder import Library
from raydgp.records import RunFolder, RunManifest
from raydgp.rivals.latency import Latency
from raydgp.rivals.metaschedule.model import TunedModel
from raydgp.settings import MeasureSettings, TuneSettings
from raydgp.targets import Target
from tests.support.deployable import write_run
from tests.support.networks import MODEL
from tests.support.wrong_kernels import leave_out_relu


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a model and a run of it: some layers measured, some not."""
    here = tmp_path_factory.mktemp("ship")
    (here / "nets.py").write_text(MODEL % 0)
    before = Path.cwd()
    os.chdir(here)
    try:
        target = Target.here("llvm")
        write_run(here, target, {**target.behaviour.device(target), "threads": 2})
    finally:
        os.chdir(before)
    return here


@pytest.fixture(scope="module")
def result(folder: Path) -> Deployment:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return shipped(folder, "untuned", "metaschedule")


def spend(
    folder: Path,
    source: str,
    target: Target,
    settings: MeasureSettings,
    budget_s: float,
    on_progress: Callable[[TunedModel, float], None],
) -> TunedModel:
    """In place of a tuning (tests/rivals/test_metaschedule_budget.py has a real one): the time is up at once."""
    state = TunedModel(model=source, target=target, threads=settings.threads or 0, spent_s=budget_s, trials=7)
    state.save(folder)
    on_progress(state, budget_s)
    return state


@pytest.fixture
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    sys.modules.pop("nets", None)
    return folder


def shipped(folder: Path, *rivals: str) -> Deployment:
    run_dir, out = folder / "runs" / "r", folder / "out"
    return deploy_run(run_dir, out, rivals, 20, SilentObserver(), Tools(metaschedule=spend), profile=True)


def champion_of(result: Deployment, client: MlflowClient) -> ModelVersion:
    name = result.notes[-3].split()[-1].removeprefix("models:/").removesuffix("@champion")
    return client.get_model_version_by_alias(name, "champion")


def test_a_shipped_model_is_right_measured_and_registered(inside: Path, result: Deployment) -> None:
    assert isinstance(result.latencies["untuned"], Latency)
    for name in ("raydgp", "defaults", "untuned", "metaschedule"):
        latency = result.latencies[name]
        assert isinstance(latency, Latency)
        assert latency.runs == 20
        assert latency.error < 1e-4
    manifest = json.loads((inside / "out" / "manifest.json").read_text())
    assert manifest["latency"]["median_low_ms"] <= manifest["latency"]["median_ms"]
    assert len(manifest["layers"]) == len(RunManifest.load(inside / "runs" / "r").tasks)
    client = MlflowClient(tracking_uri=f"sqlite:///{inside / 'm.db'}")
    (model,) = client.search_logged_models([client.get_experiment_by_name("small-llvm").experiment_id])  # type: ignore[union-attr]
    assert {"latency_ms/raydgp", "latency_ms/defaults", "latency_ms/untuned"} <= {
        each.key for each in model.metrics or []
    }
    files = {file.path for file in client.list_logged_model_artifacts(model.model_id, "deployed")}
    assert {f"deployed/{name}" for name in ("model.so", "manifest.json", "apply_database.py")} <= files
    assert result.notes[-3].endswith("@champion")
    assert "workflowType=machine_learning" in result.notes[-2]
    assert result.notes[-1].startswith("Time: ")


def test_mlflow_loads_the_model_and_checks_what_it_is_given(
    inside: Path, result: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{inside / 'm.db'}")
    model = mlflow.pyfunc.load_model(result.notes[-3].split()[-1])
    library = Library(result.folder)
    np.testing.assert_allclose(model.predict(library.inputs[0]), library.expected[0], rtol=1e-4)
    with pytest.raises(MlflowException, match="schema"):
        model.predict(library.inputs[0][:, :1])


def test_its_profile_tells_where_the_time_goes(inside: Path, result: Deployment, capfd: pytest.CaptureFixture) -> None:
    profile = result.profile
    assert profile is not None
    names = {task.name for task in RunManifest.load(inside / "runs" / "r").tasks}
    assert names <= {row.name for row in profile.kernels}
    assert sum(row.share for row in profile.kernels) == pytest.approx(1)
    assert all(row.ms > 0 for row in profile.kernels)
    assert all(row.gflops for row in profile.kernels if row.by == "template")
    written = json.loads((inside / "out" / "manifest.json").read_text())["profile"]
    assert [kernel["name"] for kernel in written["kernels"]] == [row.name for row in profile.kernels]
    profiling.show(profile)
    shown = capfd.readouterr().out.splitlines()
    assert "of bound" in shown[0]
    assert max(map(len, shown[: len(profile.kernels) + 1])) <= 80


def test_what_was_measured_again_is_journalled_and_decides(inside: Path, result: Deployment) -> None:
    run = RunFolder(inside / "runs" / "r")
    again = run.finalists()
    assert again
    assert {record.trial for record in again} == {0}
    chosen = {task.name: task.best for task in run.choice().values() if task.best}
    deployed = {row["task"]: row for row in result.manifest["layers"] if row["best_index"] is not None}
    assert {name: best.index for name, best in chosen.items()} == {n: r["best_index"] for n, r in deployed.items()}
    assert all(best in [record.measurement for record in again] for best in chosen.values())
    assert all(record.context.strategy == "random" for record in run.records())
    assert run.summary().measured == len(run.records()) < len(run.scan().records)


def test_mlflow_shows_the_model_below_the_run_that_tuned_it(inside: Path, result: Deployment) -> None:
    run = RunFolder(inside / "runs" / "r")
    client = MlflowClient(tracking_uri=f"sqlite:///{inside / 'm.db'}")
    version = champion_of(result, client)
    assert version.run_id
    deployed = client.get_run(version.run_id)
    assert deployed.data.tags["raydgp.tuned_by"] == f"r@{run.manifest.created_unix_s!r}"
    assert deployed.info.run_name == "out deployed"
    assert deployed.data.params["strategy"] == run.settings.strategy
    assert deployed.data.params["measure.repeat"] == "3"


def test_metaschedule_had_the_time_of_the_run(inside: Path, result: Deployment) -> None:
    manifest = json.loads((inside / "out" / "manifest.json").read_text())
    assert manifest["metaschedule"]["budget_s"] == manifest["metaschedule"]["spent_s"] == 2.0
    assert result.notes[0].startswith("MetaSchedule had 2 s and took 2: 7 candidates")
    state = TunedModel.load(inside / "runs" / "r" / "metaschedule")
    assert state is not None
    assert (state.model, state.threads) == ("nets:small", 2)


def test_the_example_needs_tvm_alone(inside: Path, result: Deployment) -> None:
    hidden = (
        "import sys; sys.modules['raydgp'] = sys.modules['torch'] = None; import runpy; runpy.run_path(sys.argv[1])"
    )
    command = [sys.executable, "-P", "-c", hidden, str(inside / "out" / "example.py")]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
    shape, error = answer.stdout.strip().split(" largest error: ")
    assert shape == "(1, 10)"
    assert float(error) < 1e-5


def test_a_deployed_model_is_called_with_arrays(result: Deployment, tmp_path: Path) -> None:
    copy = shutil.copytree(result.folder, tmp_path / "copy")
    model = Library(copy)
    (out,) = model(*model.inputs)
    np.testing.assert_allclose(out, model.expected[0], rtol=1e-4)
    (copy / "parameters.npz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="no deployed model"):
        Library(copy)


def test_a_wrong_model_changes_nothing_and_names_the_kernel(inside: Path, result: Deployment) -> None:
    client = MlflowClient(tracking_uri=f"sqlite:///{inside / 'm.db'}")
    before = {path.name: path.read_bytes() for path in result.folder.iterdir()}
    champion = champion_of(result, client).version
    with pytest.MonkeyPatch.context() as patch:
        leave_out_relu(patch)
        with pytest.raises(
            InputError, match=r"out is not written: .* is wrong by .* the first kernel .* is conv3x3_3_32"
        ):
            deploy_run(inside / "runs" / "r", result.folder, (), 3, SilentObserver())
    assert {path.name: path.read_bytes() for path in result.folder.iterdir()} == before
    assert champion_of(result, client).version == champion


def test_what_cannot_be_shipped_is_told_in_a_line(inside: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"unknown rival 'tensorrt'; known are torch, onnxruntime, openvino, metaschedule, untuned"
    ):
        shipped(inside, "tensorrt")
    (inside / "nets.py").write_text((MODEL % 0).replace("Conv2d(32, 64, 1)", "Conv2d(32, 64, 3)"))
    sys.modules.pop("nets", None)
    try:
        with pytest.raises(InputError, match=r"is not what .* tuned: .* is new; tune it again"):
            shipped(inside)
    finally:
        (inside / "nets.py").write_text(MODEL % 0)
    RunManifest.load(inside / "runs" / "r").model_copy(
        update={"settings": TuneSettings(model="resnet18").model_dump(mode="json")}
    ).save(tmp_path / "table")
    with pytest.raises(InputError, match="a table of layers, not a model"):
        deploy_run(tmp_path / "table", None, (), 3, SilentObserver())
