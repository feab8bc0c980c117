"""MLflow's database as a file: made elsewhere and moved into place, so that a full disk leaves none that is half-made.

MLflow makes its tables one by one. Where that is cut off, it never opens the database again: "table registered_models
already exists". It keeps where files are as absolute paths: in a folder that was moved or copied they are set anew, for
what is sent next would be written into the old one.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing, suppress
from glob import escape
from pathlib import Path
from urllib.parse import unquote

from mlflow import MlflowClient

from raydgp.tracking.uris import ARTIFACTS, NOTE

_LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
_ABANDONED_S = 600.0  # after which a draft is nobody's: it takes seconds
_SETTLED_S = 5.0  # after its last change, a database that another process makes is made


def prepare(uri: str) -> None:
    """Makes the database of an sqlite URI where there is none, or tells an old one that its folder was moved.

    A half-made one is put aside, with a line of output.
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
        _move_in(path)
        return
    if path.exists() and path.stat().st_size:
        aside = path.with_name(f"{path.name}.half-made")
        path.replace(aside)
        print(f"{NOTE}{path} was half-made, as a full disk leaves it; it is {aside.name} now and made anew", flush=True)
    prefix = f".{path.name}.draft-"
    for left in path.parent.glob(f"{escape(prefix)}*"):  # by one that was killed
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=path.parent) as folder:
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


def _move_in(path: Path) -> None:
    """Sets the locations of files that came along with the database, whose experiments say where it was."""
    here = (path.resolve().parent / ARTIFACTS).as_uri()
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as connection, connection:
        found = connection.execute("select artifact_location from experiments").fetchall()
        moved = {
            str(location).partition(f"/{ARTIFACTS}/")
            for (location,) in found
            if f"/{ARTIFACTS}/" in str(location) and not str(location).startswith(f"{here}/")
        }
        for root, folder, name in moved:
            if not (path.resolve().parent / ARTIFACTS / unquote(name)).is_dir():
                continue  # it is another folder's, and has stayed there
            old, new = f"{root}{folder}{name}", f"{here}/{name}"
            for table, column in _LOCATIONS:
                connection.execute(
                    f"update {table} set {column} = ? || substr({column}, ?) where substr({column} || '/', 1, ?) = ?",
                    (new, len(old) + 1, len(old) + 1, f"{old}/"),
                )


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
