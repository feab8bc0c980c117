"""Experiments of MLflow as a person meets them: described."""

from __future__ import annotations

from mlflow import MlflowClient

from raydgp.tracking.uris import artifact_location

_BEGINNING = "Made by raydgp; choose *Model training* at the top left to see it all."
RUNS = f"""{_BEGINNING}

A run is one `raydgp tune`. Below it are its tasks, each with its convergence, and the models that were deployed of it
with their latencies. Parameters (`strategy`, `seed`, ...) and tags (`device.name`, `version.tvm`, ...) have the same
names on all of them."""
SURROGATES = f"""{_BEGINNING}

A run is a surrogate that `raydgp pretrain` made, with its figures on held-out records."""


def experiment_id(client: MlflowClient, uri: str, name: str, description: str) -> str:
    """The experiment of a name, made where there is none.

    Raises:
        MlflowException: as the client does.
    """
    if found := client.get_experiment_by_name(name):
        return str(found.experiment_id)
    tags = {"mlflow.note.content": description}
    return str(client.create_experiment(name, artifact_location(uri, name), tags))
