"""How a run of ours is known in MLflow: by which tag it is found again, by which names runs are compared.

The names are the same on a run, on its tasks and on what was deployed of it, so that one filter finds all of them.
"""

from __future__ import annotations

import getpass
import hashlib
import json
from contextlib import suppress
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag

from raydgp.records import RunFolder, RunManifest
from raydgp.settings import PLACES, TuneSettings

RUN_TAG = "raydgp.run"  # on all parts of a tuning run
PART_TAG = "raydgp.part"  # which of them; empty for the parent
TUNED_BY_TAG = "raydgp.tuned_by"  # on a deployed model's run: the `RUN_TAG` of the run that tuned it
_NOT_PARAMS = {*PLACES, "run"}
_LONGEST = 250  # characters of a parameter; what is longer (code, lists of tasks) is in run.json


def run_tag(run: RunFolder) -> str:
    """Value of `RUN_TAG`: two runs of one name that were started at different times are two."""
    return f"{run.name}@{run.manifest.created_unix_s!r}"


def params(settings: TuneSettings) -> dict[str, str]:
    """All settings that shape a search, nested ones as `section.key`; what is not set, or is a text of code, is not."""
    return flat(settings.model_dump(mode="json", exclude=_NOT_PARAMS))


def tags(manifest: RunManifest) -> dict[str, str]:
    """On what, and with what, a run is made: `device.name`, `version.tvm`, `git_commit` and the like."""
    found = {f"device.{key}": str(value) for key, value in manifest.device.items()}
    found |= {f"version.{name}": version for name, version in manifest.versions.items()}
    found |= {"peak_gflops": f"{manifest.peak_gflops:.1f}"} if manifest.peak_gflops else {}
    return found | {"git_commit": manifest.git_commit or "unknown"}


def source_tags(command: str, manifest: RunManifest) -> dict[str, str]:
    """What MLflow shows as the user and the source of a run."""
    found = {"mlflow.source.name": f"raydgp {command}", "mlflow.source.type": "LOCAL"}
    with suppress(OSError, KeyError):  # a container's user may have no name
        found["mlflow.user"] = getpass.getuser()
    return found | ({"mlflow.source.git.commit": manifest.git_commit} if manifest.git_commit else {})


def spaces(manifest: RunManifest) -> DatasetInput:
    """The spaces of a run's tasks as MLflow's data set: runs with the same digest have searched the same."""
    searched = [(task.name, task.count, task.space_hash) for task in manifest.tasks]
    digest = hashlib.sha256(json.dumps(searched).encode()).hexdigest()
    sizes = {"tasks": len(searched), "configurations": sum(task.space_size for task in manifest.tasks)}
    return data_set(f"spaces of {manifest.settings['model']}", digest, manifest, "tuning", json.dumps(sizes))


def data_set(name: str, digest: str, manifest: RunManifest, context: str, profile: str | None = None) -> DatasetInput:
    """What a run was made of, for MLflow's column of data sets.

    Args:
        digest: hexadecimal; MLflow shows 16 digits of it.
        context: what it was used for.
        profile: JSON.
    """
    source = json.dumps({"uri": str(manifest.settings["model"])})
    return DatasetInput(
        Dataset(name[:_LONGEST], digest[:16], "raydgp", source, profile=profile),
        [InputTag("mlflow.data.context", context)],
    )


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values as texts by `section.key`, without those that are not set or longer than a parameter."""
    out: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            out |= flat(value, f"{prefix}{key}.")
        elif value is not None and len(str(value)) <= _LONGEST:
            out[f"{prefix}{key}"] = str(value)
    return out
