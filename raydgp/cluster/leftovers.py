"""Temporary folders of ours, marked while their process lives, and those that a killed process has left behind."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from raydgp.records.lock import FileLock, Held, check_free

_MARK = "raydgp.lock"  # the kernel frees it when its process ends, however it ends
_FRESH_S = 5.0  # in which a mark may stand in its folder and not be locked yet


def mark(folder: Path) -> FileLock:
    """Keeps a folder from being cleaned as long as this process lives, or until the lock is released."""
    return FileLock(folder / _MARK)


@contextmanager
def marked(folder: Path) -> Iterator[None]:
    """Keeps a folder from being cleaned until the block or this process ends."""
    lock = mark(folder)
    try:
        yield
    finally:
        lock.release()


def found(ray_temp: Path) -> Iterator[Path]:
    """Folders of processes that are gone.

    Args:
        ray_temp: where Ray keeps the folders of its sessions; only those that raydgp began are marked.
    """
    now, temporary = time.time(), Path(tempfile.gettempdir())
    marks = [*ray_temp.glob(f"session_*/{_MARK}"), *temporary.glob(f"raydgp-*/{_MARK}")]
    for file in marks:
        if file.parent.is_symlink():
            continue  # Ray's `session_latest`
        try:
            check_free(file)
            if now - file.stat().st_mtime > _FRESH_S:
                yield file.parent
        except (Held, OSError):
            continue


def clean(ray_temp: Path) -> list[Path]:
    """Removes the folders of processes that are gone; returns which."""
    folders = list(found(ray_temp))
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)  # another process may be at it, too
    return folders
