"""Deployed models in MLflow: a run with the latencies, a logged model that can be ranked and loaded, and a champion."""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow import MlflowClient, pyfunc
from mlflow.entities import LoggedModelOutput, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec
from numpy.typing import NDArray

from raydgp.errors import InputError
from raydgp.records import RunFolder
from raydgp.tracking import identity
from raydgp.tracking.database import prepare
from raydgp.tracking.experiments import RUNS, experiment_id
from raydgp.tracking.identity import PART_TAG, RUN_TAG, TUNED_BY_TAG
from raydgp.tracking.model_registry import named
from raydgp.tracking.uris import check, page

CHAMPION = "champion"
OURS = "latency_ms/raydgp"  # the metric by which models are ranked
_LOADER = "raydgp.models.pyfunc"
_FOLDER = "deployed"  # of a logged model's files: the folder that `raydgp deploy` wrote


@dataclass(frozen=True)
class Registered:
    """Where a deployed model is in MLflow.

    Attributes:
        uri: `models:/NAME/VERSION`, for `mlflow.pyfunc.load_model`.
        is_champion: whether `models:/NAME@champion` is it, too.
        page: how to see it beside the runs.
    """

    uri: str
    is_champion: bool
    page: str


def register(
    folder: Path,
    run: RunFolder,
    digest: str,
    latencies_ms: Mapping[str, float],
    layers: Sequence[dict[str, Any]],
    sample: Mapping[str, NDArray[Any]],
) -> Registered:
    """Logs a deployed folder below the run that tuned it, and makes it the newest version of a registered model.

    A registered model is of one device, which its name tells. The alias `champion` stays with an earlier version of the
    same network that is faster.

    Args:
        digest: of the network.
        latencies_ms: medians by way to run it; `raydgp` is the folder's own.
        layers: rows to show with it.
        sample: arrays `input0`, ..., `output0`, ... of the right shapes and types.

    Raises:
        InputError: the server cannot be reached or refuses.
    """
    manifest, settings = run.manifest, run.settings
    uri, name = settings.mlflow.uri, _name(run)
    check(uri)
    try:
        prepare(uri)
        client = MlflowClient(tracking_uri=uri)
        experiment = experiment_id(client, uri, settings.experiment, RUNS)
        params, tags = identity.params(settings), identity.tags(manifest) | {"digest": digest}
        origin = identity.source_tags("deploy", manifest) | _origin(client, experiment, run)
        run_id = client.create_run(experiment, None, tags | origin, f"{folder.name} deployed").info.run_id
        client.log_inputs(run_id, [identity.data_set(settings.model, digest, manifest, "deploying")])
        model = client.create_logged_model(experiment, name, run_id, tags, params, "deployed")
        time_ms = model.creation_timestamp
        metrics = [
            Metric(f"latency_ms/{way.replace(' ', '_')}", ms, time_ms, 0, model.model_id)
            for way, ms in latencies_ms.items()
        ]
        client.log_batch(run_id, metrics, [Param(key, value) for key, value in params.items()])
        client.log_table(run_id, pd.DataFrame(layers), "layers.json")
        _upload(client, model.model_id, run_id, folder, sample, manifest.versions)
        client.finalize_logged_model(model.model_id, "READY")
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
        named(client, name)
        at = model.artifact_location
        version = client.create_model_version(name, at, run_id, tags=tags, model_id=model.model_id)
        wins = latencies_ms["raydgp"] < _champion_ms(client, name, digest)
        if wins:
            client.set_registered_model_alias(name, CHAMPION, version.version)
        client.set_terminated(run_id)
    except MlflowException as error:
        raise InputError(f"MLflow {uri}: {error.message.splitlines()[0]}; the model in {folder} is intact") from None
    return Registered(f"models:/{name}/{version.version}", wins, page(uri, experiment))


def _name(run: RunFolder) -> str:
    """Of the registered model: the network, the kind of target, the device, and the cores that it uses of it."""
    settings, device = run.settings, run.manifest.device
    parts = ["raydgp", settings.model_name, settings.target, str(device.get("name", ""))]
    parts += [f"{device['threads']} threads"] if "threads" in device else []
    return re.sub(r"[^\w.]+", "-", "-".join(parts)).replace(".", "_").strip("-")


def _origin(client: MlflowClient, experiment: str, run: RunFolder) -> dict[str, str]:
    """Tags that lead to the run that tuned a model; it is the parent where it was tracked in this experiment."""
    tag = identity.run_tag(run)
    query = f"tags.`{RUN_TAG}` = '{tag}' and tags.`{PART_TAG}` = ''"
    found = client.search_runs([experiment], query, max_results=1)
    return {TUNED_BY_TAG: tag} | ({"mlflow.parentRunId": found[0].info.run_id} if found else {})


def _champion_ms(client: MlflowClient, name: str, digest: str) -> float:
    """Latency of the champion; infinite where there is none, or it is of another network."""
    with suppress(MlflowException):  # there is no such alias
        champion = client.get_model_version_by_alias(name, CHAMPION)
        if champion.tags.get("digest") == digest and champion.run_id:
            return float(client.get_run(champion.run_id).data.metrics.get(OURS, math.inf))
    return math.inf


def _upload(
    client: MlflowClient,
    model_id: str,
    run_id: str,
    folder: Path,
    sample: Mapping[str, NDArray[Any]],
    versions: Mapping[str, str],
) -> None:
    """The folder, and beside it what makes it a model of MLflow's with a signature."""
    inputs, outputs = (_schema({name: a for name, a in sample.items() if kind in name}) for kind in ("input", "output"))
    model = Model(run_id=run_id, signature=ModelSignature(inputs, outputs), model_id=model_id)
    pyfunc.add_to_model(model, _LOADER, data=_FOLDER)
    with tempfile.TemporaryDirectory() as drafts:
        model.save(f"{drafts}/MLmodel")
        needed = {"raydgp": versions.get("raydgp"), "apache-tvm": versions.get("tvm")}
        lines = [f"{package}=={version}" for package, version in needed.items() if version]
        (Path(drafts) / "requirements.txt").write_text("".join(f"{line}\n" for line in [*lines, "mlflow"]))
        client.log_model_artifacts(model_id, drafts)
    client.log_model_artifacts(model_id, str(folder), _FOLDER)


def _schema(arrays: Mapping[str, NDArray[Any]]) -> Schema:
    """Of named arrays; the only one needs no name."""
    one = len(arrays) == 1
    return Schema([TensorSpec(a.dtype, a.shape, None if one else name) for name, a in arrays.items()])
