"""One writer at a time: a lock file that says who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import psutil

from raydgp.errors import MALFORMED

_LONGEST_HOST = 64


class Held(Exception):
    """Someone else holds the lock; the message says who, in one line. Whoever locks says what that means to a user."""


class FileLock:
    """An exclusive lock on a file that stays in place and names its holder by process and host.

    The kernel frees it when the holder ends, however it ends, so that a lock file left behind locks nobody out.

    Raises:
        Held: another process (or another lock in this one) holds it.
        OSError: the file cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            holder = {"pid": os.getpid(), "host": socket.gethostname(), "since_unix_s": int(time.time())}
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, json.dumps(holder).encode(), 0)
        except BlockingIOError:
            text = os.pread(self._fd, 4096, 0)
            os.close(self._fd)
            raise Held(_explain(path, text)) from None
        except OSError:
            os.close(self._fd)
            raise

    def release(self) -> None:
        os.close(self._fd)


def check_free(path: Path) -> None:
    """Looks whether a lock could be taken, and changes nothing; where there is no lock file, nobody has it.

    Raises:
        Held: someone holds it.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Held(_explain(path, os.pread(fd, 4096, 0))) from None
    finally:
        os.close(fd)


def _explain(path: Path, text: bytes) -> str:
    try:
        holder: dict[str, Any] = json.loads(text)
        pid, host = int(holder["pid"]), str(holder["host"]).partition("\n")[0][:_LONGEST_HOST]
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(holder["since_unix_s"]))
        gone = host == socket.gethostname() and not psutil.pid_exists(pid)
    except (*MALFORMED, OSError):
        return f"{path} is held by a process that has not written its name yet"
    who = f"process {pid} on {host} since {since}"
    if gone:
        return f"{path} was taken by {who}, which is gone: a process that it started still holds it, end that one"
    return f"{path} is held by {who}: wait for it or end it"
