"""Stores of MLflow that are sound."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from raydgp.tracking import sync
from tests.support.tracked import snapshot, write_run


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables made, which takes MLflow a second."""
    file = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def uri(tmp_path: Path, empty_database: Path) -> str:
    """A sound store of the test's own."""
    return f"sqlite:///{shutil.copy(empty_database, tmp_path / 'mlflow.db')}"


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the runs look like when nothing went wrong."""
    folder = tmp_path_factory.mktemp("sound")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    sync(write_run(folder / "run", uri))
    return snapshot(uri)
