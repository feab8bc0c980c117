"""The file of results: a header, then a line of JSON for each measurement, on disk within two seconds."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

from raydgp.errors import MALFORMED, InputError, JournalError

FORMAT = 1
_SYNC_S = 2.0


class Results:
    """Goes on with a file where it was stopped, or begins it. One process at a time writes to it.

    A last line without its end was being written when the machine or the disk gave out: it is cut off.

    Args:
        header: `bundle` and `device` of it must be those of the file.

    Attributes:
        done: task, place and state of the caches of what is measured.
        models: those that are measured.
        right: for each task the places of kernels that were right, in their order.

    Raises:
        InputError: the file is of another bundle or device, damaged, or another process has it.
        JournalError: it cannot be written; so does `append`.
    """

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path = path
        self.done: set[tuple[int, int, str]] = set()
        self.models: set[int] = set()
        self.right: dict[int, list[int]] = {}
        self._synced = time.monotonic()
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{path}: another runner writes to it; wait for it, or give another --out") from None
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}; give another --out") from None
        size = self._resume(path.read_bytes(), header)
        os.ftruncate(self._fd, size)
        os.lseek(self._fd, size, os.SEEK_SET)
        if not size:
            self.append({"results": FORMAT, **header})

    def append(self, line: dict[str, Any]) -> None:
        """Hands a line to the system at once, and at times what it holds to the disk."""
        self._note(line)
        text = memoryview(json.dumps(line).encode() + b"\n")
        try:
            while text:  # a disk that fills up takes a part of it
                text = text[os.write(self._fd, text) :]
            if time.monotonic() > self._synced + _SYNC_S:
                self.sync()
        except OSError as error:
            remedy = "free some space and run the same command again, what is measured is kept"
            raise JournalError(f"{self.path}: {error.strerror}; {remedy}") from None

    def sync(self) -> None:
        os.fsync(self._fd)
        self._synced = time.monotonic()

    def close(self) -> None:
        """Puts all on disk and lets others write to the file."""
        try:
            os.fsync(self._fd)
        finally:
            os.close(self._fd)

    def _resume(self, text: bytes, header: dict[str, Any]) -> int:
        """Takes in the whole lines; returns how many bytes they are."""
        size = text.rfind(b"\n") + 1
        lines = text[:size].splitlines()
        for number, line in enumerate(lines, 1):
            try:
                found = json.loads(line)
                if number == 1:
                    self._check(found, header)
                else:
                    self._note(found)
            except InputError:
                raise
            except MALFORMED:
                raise InputError(f"{self.path}, line {number}: not a result; give another --out") from None
        return size

    def _check(self, found: dict[str, Any], header: dict[str, Any]) -> None:
        if found["results"] != FORMAT:
            raise InputError(f"{self.path}: results of format {found['results']}, not {FORMAT}; give another --out")
        if found["bundle"] != header["bundle"]:
            raise InputError(f"{self.path}: results of another bundle; give another --out")
        if found["device"] != header["device"]:
            raise InputError(f"{self.path}: results of another device ({_said(found['device'])}); give another --out")

    def _note(self, line: dict[str, Any]) -> None:
        if "model" in line:
            self.models.add(line["model"])
        if "task" not in line:
            return  # an anchor, or the header
        task, place = line["task"], line["place"]
        self.done.add((task, place, line["caches"]))
        if line["status"] == "ok" and place not in self.right.setdefault(task, []):
            self.right[task].append(place)


def _said(device: dict[str, Any]) -> str:
    return ", ".join(str(value) for value in device.values())
