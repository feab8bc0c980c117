"""Deployed models in MLflow, and the filters of the guide, on two runs of two strategies."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.models import Model

from raydgp.records import RunFolder
from raydgp.tracking import deployed_models
from raydgp.tracking.mlflow_writer import MlflowWriter
from tests.support.tracked import write_run

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "mlflow.md"
SAMPLE = {"input0": np.zeros((1, 3), np.float32), "output0": np.zeros((1, 2), np.float32)}


def deployed(run_dir: Path, ms: float, digest: str = "d" * 64) -> deployed_models.Registered:
    folder = run_dir.parent / "deployed"
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text("{}")
    layers = [{"task": "a", "best_latency_us": 12.5}]
    latencies = {"raydgp": ms, "torch eager": 9.0}
    return deployed_models.register(folder, RunFolder(run_dir), digest, latencies, layers, SAMPLE)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tracked runs, of which the first was deployed three times."""
    here = tmp_path_factory.mktemp("tracked")
    uri = f"sqlite:///{here / 'm.db'}"
    for name, strategy in (("one", "autotvm"), ("two", "random")):
        run_dir = write_run(here / name, uri, n=8)
        manifest = RunFolder(run_dir).manifest
        settings = manifest.settings | {"strategy": strategy, "seed": 1, "options": {"preset": "small"}}
        manifest.model_copy(update={"settings": settings, "peak_gflops": 0.02}).save(run_dir)
        MlflowWriter(run_dir).finish()
    return here


@pytest.fixture(scope="module")
def registered(here: Path) -> list[deployed_models.Registered]:
    return [deployed(here / "one", ms) for ms in (3.0, 4.0, 2.0)] + [deployed(here / "one", 8.0, "e" * 64)]


@pytest.fixture
def client(here: Path, registered: object) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{here / 'm.db'}")


def digest_of(run: Run) -> str:
    assert run.inputs
    return str(run.inputs.dataset_inputs[0].dataset.digest)


@pytest.fixture
def experiment(client: MlflowClient) -> str:
    return str(client.get_experiment_by_name("resnet18-table-llvm").experiment_id)  # type: ignore[union-attr]


def test_the_champion_is_the_fastest_of_a_network_on_a_device(
    client: MlflowClient, experiment: str, registered: list[deployed_models.Registered]
) -> None:
    assert [each.is_champion for each in registered] == [True, False, True, True]  # the last is of another network
    assert registered[0].uri == "models:/raydgp-resnet18-llvm-cpu-2-threads/1"
    version = client.get_model_version_by_alias("raydgp-resnet18-llvm-cpu-2-threads", "champion")
    assert int(version.version) == 4
    assert registered[0].page.endswith(f"#/experiments/{experiment}/runs?workflowType=machine_learning")


def test_models_are_ranked_by_their_latency_and_have_a_signature(client: MlflowClient, experiment: str) -> None:
    order = [{"field_name": "metrics.latency_ms/raydgp", "ascending": True}]
    found = client.search_logged_models([experiment], order_by=order)
    assert [next(m.value for m in each.metrics or [] if m.key == "latency_ms/raydgp") for each in found] == [
        2.0,
        3.0,
        4.0,
        8.0,
    ]
    assert {each.params["strategy"] for each in found} == {"autotvm"}
    assert {str(each.status) for each in found} == {"READY"}
    model = Model.load(found[0].artifact_location.removeprefix("file://"))
    assert model.flavors["python_function"]["loader_module"] == "raydgp.models.pyfunc"
    assert [tuple(spec.shape) for spec in model.signature.inputs.inputs] == [(1, 3)]
    assert (Path(found[0].artifact_location.removeprefix("file://")) / "deployed" / "manifest.json").exists()


def test_it_stands_below_the_run_that_tuned_it(client: MlflowClient, experiment: str) -> None:
    (parent,) = client.search_runs([experiment], "tags.`raydgp.part` = '' and params.strategy = 'autotvm'")
    below = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    models = [run for run in below if run.info.run_name == "deployed deployed"]
    assert len(models) == 4
    assert all(run.data.params.items() >= {"seed": "1", "options.preset": "small"}.items() for run in models)
    assert digest_of(models[0]) in ("d" * 16, "e" * 16)
    table = json.loads(Path(client.download_artifacts(models[0].info.run_id, "layers.json")).read_text())
    assert table["data"] == [["a", 12.5]]


def test_an_experiment_and_its_runs_say_what_they_are(client: MlflowClient, experiment: str) -> None:
    tags = client.get_experiment(experiment).tags
    assert tags["mlflow.note.content"].startswith("Made by raydgp")
    runs = client.search_runs([experiment], "tags.`raydgp.part` = ''")
    assert len({digest_of(run) for run in runs}) == 1  # they searched the same
    assert {run.data.tags["mlflow.source.name"] for run in runs} == {"raydgp tune"}
    assert all(run.info.user_id not in ("", "unknown") for run in runs)


@pytest.mark.parametrize("said", re.findall(r"^ {4}((?:tags|params|metrics)\..+)$", GUIDE.read_text(), re.MULTILINE))
def test_a_filter_of_the_guide_finds_some_of_the_runs(client: MlflowClient, experiment: str, said: str) -> None:
    everything = client.search_runs([experiment])
    assert 0 < len(client.search_runs([experiment], said)) < len(everything)


def test_a_folder_that_was_moved_is_written_where_it_is(
    here: Path, tmp_path: Path, client: MlflowClient, experiment: str
) -> None:
    shutil.copytree(here, tmp_path / "mine / ours")
    moved = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mine / ours' / 'm.db'}")
    before = sorted(here.rglob("*"))
    run_dir = tmp_path / "mine / ours" / "two"
    manifest = RunFolder(run_dir).manifest
    settings = manifest.settings | {"mlflow": {"uri": f"sqlite:///{tmp_path / 'mine / ours' / 'm.db'}"}}
    manifest.model_copy(update={"settings": settings}).save(run_dir)
    MlflowWriter(run_dir).finish()
    assert sorted(here.rglob("*")) == before
    for run in moved.search_runs([experiment]):
        assert run.info.artifact_uri.startswith((tmp_path / "mine / ours").as_uri())
        assert moved.list_artifacts(run.info.run_id)
    assert client.search_runs([experiment])[0].info.artifact_uri.startswith(here.as_uri())
