"""Surrogates in the model registry and records out of experiments, with a real MLflow on sqlite."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from raydgp.errors import InputError
from raydgp.records import Context, Journal, Measurement, Phases, Record, Status
from raydgp.targets import Target
from raydgp.tracking import sync
from raydgp.tracking.model_registry import EXPERIMENT, experiment_records, register
from tests.support.tracked import bare_manifest


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'm.db'}"


def test_the_newest_version_has_the_alias_and_the_files(tmp_path: Path, uri: str) -> None:
    folder = tmp_path / "conv2d_3x3_s1x1-llvm.conv2d_nchwc.v1"
    folder.mkdir()
    (folder / "card.json").write_text("{}")
    name = f"raydgp-{folder.name}"
    for spearman in (0.5, 0.6):
        where = register(folder, name, {"spearman": spearman}, {"group": "conv2d_3x3_s1x1"}, uri, "champion")
    assert where == f"models:/{name}@champion"
    client = MlflowClient(tracking_uri=uri)
    version = client.get_model_version_by_alias(name, "champion")
    assert int(version.version) == 2
    assert version.tags["group"] == "conv2d_3x3_s1x1"
    assert version.run_id
    assert client.get_run(version.run_id).data.metrics == {"spearman": 0.6}
    assert [file.path for file in client.list_artifacts(version.run_id, "model")] == ["model/card.json"]
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment
    assert experiment.artifact_location == (tmp_path / "mlartifacts" / EXPERIMENT).as_uri()


def test_records_of_a_tracked_run_come_back(tmp_path: Path, uri: str) -> None:
    bare_manifest(mlflow={"uri": uri}).save(tmp_path / "run")
    workload = {"op": "dense", "n": 1, "k": 64, "m": 32}
    context = Context(
        task="fc",
        workload=workload,
        target=Target.named("llvm"),
        space_hash="a" * 16,
        strategy="random",
        seed=0,
        run="run",
    )
    measured = Measurement(index=3, status=Status.OK, times_s=(1e-3,), phases=Phases(), device={"name": "cpu"})
    records = [Record(context=context, trial=0, knobs={"tile": [4, 2]}, measurement=measured)]
    with Journal(tmp_path / "run" / "journal.jsonl") as journal:
        journal.append(records)
    sync(tmp_path / "run")
    assert experiment_records(uri, "resnet18-table-llvm") == records
    with pytest.raises(InputError, match=r"has no experiment 'vgg16-llvm'; it has .*resnet18-table-llvm"):
        experiment_records(uri, "vgg16-llvm")
