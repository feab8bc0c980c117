"""Surrogates and deployed models in MLflow's model registry, and records of finished runs out of its experiments."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from raydgp.errors import InputError
from raydgp.records import Record, RunFolder
from raydgp.records.frames import read_parquet
from raydgp.tracking.identity import PART_TAG, RUN_TAG, TUNED_BY_TAG, run_tag, settings_params
from raydgp.tracking.uris import artifact_location, check

logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of every table that it makes

EXPERIMENT = "raydgp-surrogates"
_FOLDER = "model"  # of the run's artefacts
_MAX_RUNS = 10_000


def register(
    folder: Path,
    name: str,
    metrics: dict[str, float],
    tags: dict[str, str],
    uri: str,
    alias: str,
    experiment: str = EXPERIMENT,
    table: list[dict[str, Any]] | None = None,
    tuned_by: RunFolder | None = None,
) -> str:
    """Logs a folder as a run and makes it the newest version of a registered model.

    Args:
        name: of the registered model.
        metrics: of the model, such as its held-out rank correlation.
        tags: of the version, such as group and target.
        alias: moved onto this version.
        experiment: of the run.
        table: rows to show with the run.
        tuned_by: the run whose best the folder holds: MLflow shows the new run below it, with its settings.

    Returns:
        `models:/<name>@<alias>`.

    Raises:
        InputError: the server cannot be reached or refuses.
    """
    check(uri)
    try:
        client = MlflowClient(tracking_uri=uri)
        if found := client.get_experiment_by_name(experiment):
            experiment_id = found.experiment_id
        else:
            experiment_id = client.create_experiment(experiment, artifact_location(uri, experiment))
        run_name, origin = folder.name, dict[str, str]()
        if tuned_by:
            run_name, origin = f"{folder.name} deployed", _origin(client, experiment_id, tuned_by)
        run_id = client.create_run(experiment_id, run_name=run_name, tags=tags | origin).info.run_id
        for key, value in (settings_params(tuned_by.settings) if tuned_by else {}).items():
            client.log_param(run_id, key, value)
        for key, value in metrics.items():
            client.log_metric(run_id, key, value)
        client.log_artifacts(run_id, str(folder), _FOLDER)
        if table:
            client.log_table(run_id, pd.DataFrame(table), "layers.json")
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name, description="Made by raydgp.")
        source = f"{client.get_run(run_id).info.artifact_uri}/{_FOLDER}"
        version = client.create_model_version(name, source, run_id, tags=tags)
        client.set_registered_model_alias(name, alias, version.version)
        client.set_terminated(run_id)
    except MlflowException as error:
        raise InputError(f"MLflow {uri}: {error.message.splitlines()[0]}; the artefact in {folder} is intact") from None
    return f"models:/{name}@{alias}"


def _origin(client: MlflowClient, experiment_id: str, run: RunFolder) -> dict[str, str]:
    """Tags that lead to the run that tuned a model; it is the parent where it was tracked in this experiment."""
    tag = run_tag(run)
    query = f"tags.`{RUN_TAG}` = '{tag}' and tags.`{PART_TAG}` = ''"
    found = client.search_runs([experiment_id], query, max_results=1)
    return {TUNED_BY_TAG: tag} | ({"mlflow.parentRunId": found[0].info.run_id} if found else {})


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
