"""Tracking URIs: whether one can be used, asked before a run so that a misspelt one costs nothing; where files go."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote, urlparse

from raydgp.errors import InputError

_TIMEOUT_S = 5.0
_REMEDY = "start the server, or set mlflow.enabled to false and send the run later with `raydgp sync`"


def check(uri: str) -> None:
    """Asks a server for its health, and a database's folder whether it is there; other schemes are left to MLflow.

    Raises:
        InputError: nobody answers within 5 s, or the folder does not exist.
    """
    parts = urlparse(uri)
    if parts.scheme in ("http", "https"):
        try:
            urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=_TIMEOUT_S).close()
        except urllib.error.HTTPError:
            return  # it answers: a proxy may keep /health to itself
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise InputError(f"MLflow server {uri} cannot be reached ({reason}); {_REMEDY}") from None
    elif parts.scheme == "sqlite":
        folder = Path(uri.removeprefix("sqlite:///")).parent
        if not folder.is_dir():
            raise InputError(f"MLflow database {uri}: there is no folder {folder}; make it or give another URI")
    elif not parts.scheme:
        raise InputError(f"MLflow URI {uri!r} names no scheme; write sqlite:///mlflow.db or http://HOST:PORT")


def artifact_location(uri: str, experiment: str) -> str | None:
    """Where an experiment keeps its files: a database has a folder beside it; None, a server decides by itself."""
    if not uri.startswith("sqlite:///"):
        return None
    return (
        Path(uri.removeprefix("sqlite:///")).resolve().parent / "mlartifacts" / quote(experiment, safe=" ")
    ).as_uri()
