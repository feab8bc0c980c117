"""Surrogates in MLflow's model registry, and records of finished runs out of its experiments."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from raydgp.errors import InputError
from raydgp.records import Record
from raydgp.records.frames import read_parquet
from raydgp.tracking.experiments import SURROGATES, experiment_id
from raydgp.tracking.identity import PART_TAG
from raydgp.tracking.uris import check

logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of every table that it makes

EXPERIMENT = "raydgp-surrogates"
_FOLDER = "model"  # of the run's artefacts
_MAX_RUNS = 10_000


def register(folder: Path, name: str, metrics: dict[str, float], tags: dict[str, str], uri: str, alias: str) -> str:
    """Logs a surrogate's folder as a run and makes it the newest version of a registered model.

    Args:
        name: of the registered model.
        metrics: of the surrogate, such as its held-out rank correlation.
        tags: of the version, such as group and target.
        alias: moved onto this version.

    Returns:
        `models:/<name>@<alias>`.

    Raises:
        InputError: the server cannot be reached or refuses.
    """
    check(uri)
    try:
        client = MlflowClient(tracking_uri=uri)
        experiment = experiment_id(client, uri, EXPERIMENT, SURROGATES)
        run = client.create_run(experiment, run_name=folder.name, tags=tags)
        for key, value in metrics.items():
            client.log_metric(run.info.run_id, key, value)
        client.log_artifacts(run.info.run_id, str(folder), _FOLDER)
        named(client, name)
        version = client.create_model_version(name, f"{run.info.artifact_uri}/{_FOLDER}", run.info.run_id, tags=tags)
        client.set_registered_model_alias(name, alias, version.version)
        client.set_terminated(run.info.run_id)
    except MlflowException as error:
        raise InputError(f"MLflow {uri}: {error.message.splitlines()[0]}; the artefact in {folder} is intact") from None
    return f"models:/{name}@{alias}"


def named(client: MlflowClient, name: str) -> None:
    """Makes the registered model of a name where there is none."""
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, description="Made by raydgp.")


def experiment_records(uri: str, name: str) -> list[Record]:
    """Records of all finished runs of an experiment that `raydgp tune` tracked.

    Raises:
        InputError: no such experiment, or the server cannot be reached.
    """
    check(uri)
    records: list[Record] = []
    try:
        client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            known = ", ".join(e.name for e in client.search_experiments()) or "none"
            raise InputError(f"MLflow {uri} has no experiment {name!r}; it has {known}")
        runs = client.search_runs([experiment.experiment_id], f"tags.`{PART_TAG}` = ''", max_results=_MAX_RUNS)
        for run in runs:
            if any(file.path == "records.parquet" for file in client.list_artifacts(run.info.run_id)):
                with tempfile.TemporaryDirectory() as folder:
                    path = client.download_artifacts(run.info.run_id, "records.parquet", folder)
                    records += read_parquet(Path(path))
    except MlflowException as error:
        raise InputError(f"MLflow {uri}: {error.message.splitlines()[0]}") from None
    return records
