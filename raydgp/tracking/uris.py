"""Tracking URIs: whether one can be used, asked before a run so that a misspelt one costs nothing; where files go."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote, urlparse

from raydgp.errors import InputError

ARTIFACTS = "mlartifacts"  # folder beside a database, with a folder for each experiment
NOTE = "note: "  # how a line of the follower's output begins that is for the user
_TIMEOUT_S = 5.0
_REMEDY = (
    "start the server, or set mlflow.required to false (--no-mlflow-required): then the run is measured now and sent "
    "later, at the latest by `raydgp sync`; with mlflow.enabled false (--no-mlflow-enabled) only by that"
)


def check(uri: str, required: bool = True) -> str:
    """Asks a server for its health, and a database's folder whether it is there; other schemes are left to MLflow.

    Args:
        required: whether a server has to answer.

    Returns:
        Why the server cannot be reached, where it need not be; empty where it can.

    Raises:
        InputError: nobody answers within 5 s, or the folder does not exist.
    """
    parts = urlparse(uri)
    if parts.scheme in ("http", "https"):
        try:
            urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=_TIMEOUT_S).close()
        except urllib.error.HTTPError:
            return ""  # it answers: a proxy may keep /health to itself
        except (OSError, ValueError) as error:
            reason = f"MLflow server {uri} cannot be reached ({getattr(error, 'reason', error)})"
            if not required:
                return reason
            raise InputError(f"{reason}; {_REMEDY}") from None
    elif parts.scheme == "sqlite":
        folder = Path(uri.removeprefix("sqlite:///")).parent
        if not folder.is_dir():
            raise InputError(f"MLflow database {uri}: there is no folder {folder}; make it or give another URI")
    elif not parts.scheme:
        raise InputError(f"MLflow URI {uri!r} names no scheme; write sqlite:///mlflow.db or http://HOST:PORT")
    return ""


def database_of(uri: str) -> Path | None:
    """The file of a database's URI; None where a server has it."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def artifact_location(uri: str, experiment: str) -> str | None:
    """Where an experiment keeps its files: a database has a folder beside it; None, a server decides by itself."""
    if (database := database_of(uri)) is None:
        return None
    return (database.resolve().parent / ARTIFACTS / quote(experiment, safe=" ")).as_uri()


def page(uri: str, experiment_id: str = "") -> str:
    """How a user sees the runs of an experiment in MLflow's pages, which begin elsewhere."""
    served = uri.startswith(("http://", "https://"))
    address = uri.rstrip("/") if served else "http://127.0.0.1:5000"
    if experiment_id:
        address += f"/#/experiments/{experiment_id}/runs?workflowType=machine_learning"
    return address if served else f"run `mlflow ui --backend-store-uri {uri}` and open {address}"
