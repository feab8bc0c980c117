"""MLflow's database as a file: made elsewhere and moved into place, so that a full disk leaves none that is half-made.

MLflow makes its tables one by one. Where that is cut off, it never opens the database again: "table registered_models
already exists".
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

from mlflow import MlflowClient

from raydgp.tracking.uris import NOTE

_SETTLED_S = 5.0  # after its last change, a database that another process makes is made


def prepare(uri: str) -> None:
    """Makes the database of an sqlite URI where there is none, and puts a half-made one aside, with a line of output.

    A half-made one holds no experiment, which MLflow adds last, so nothing is lost with it.

    Raises:
        OSError, and what MLflow raises: it cannot be made; nothing of it stays.
    """
    if not uri.startswith("sqlite:///"):
        return
    path = Path(uri.removeprefix("sqlite:///"))
    if not str(path) or not path.parent.is_dir():
        return
    if path.exists() and not _half_made(path):
        return
    if path.exists() and path.stat().st_size:
        aside = path.with_name(f"{path.name}.half-made")
        path.replace(aside)
        print(f"{NOTE}{path} was half-made, as a full disk leaves it; it is {aside.name} now and made anew", flush=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        draft = Path(folder) / path.name
        MlflowClient(tracking_uri=f"sqlite:///{draft}").search_experiments(max_results=1)
        with closing(sqlite3.connect(draft)) as connection:  # whatever is still beside it goes into the file
            connection.execute("pragma wal_checkpoint(truncate)")
        if path.exists() and not path.stat().st_size:
            path.unlink()
        with suppress(FileExistsError):  # another process was faster: then it is that one's
            _move(draft, path)


def _move(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        draft.replace(path)


def _half_made(path: Path) -> bool:
    if not path.stat().st_size:
        return True
    if time.time() - path.stat().st_mtime < _SETTLED_S:
        return False
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            names = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
            if not names & {"registered_models", "metrics", "runs", "alembic_version"}:
                return False  # not of MLflow
            return (
                "experiments" not in names or not connection.execute("select count(*) from experiments").fetchone()[0]
            )
    except sqlite3.Error:
        return False  # MLflow's own words say best what is wrong with it
