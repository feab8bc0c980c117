"""The journal: the one truth of a run, JSON lines, each a measurement that can be understood on its own.

A line is the record's JSON object with the CRC-32 of what comes before it as its last member. It is complete when it
ends in a newline; anything after the last newline was torn by a crash and never happened. So journals can be merged
with `cat`; of the records with one identity the first counts (`history.first`).
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from raydgp.errors import InputError, JournalError
from raydgp.records.lines import Decoder, Quarantined, encode
from raydgp.records.lines import decode as decode
from raydgp.records.lock import FileLock, Held
from raydgp.records.record import Record

_LOGGER = logging.getLogger(__name__)
_BLOCK_BYTES = 1 << 16


class Journal:
    """The single writer of a journal; use it as a context manager.

    Opening takes the lock, creates the file where there is none, and cuts off a torn last line.

    Raises:
        JournalError: another writer holds it, or the path cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(lock_of(path))
        except Held as held:
            raise JournalError(f"{path}: another run writes to it; {held}") from None
        except OSError as error:
            raise JournalError(f"{path}: {error.strerror}; give a folder that can be written") from None
        opened = ExitStack()
        opened.callback(self._lock.release)
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            opened.callback(os.close, self._fd)
            self._end = _complete_bytes(path)
            os.ftruncate(self._fd, self._end)
            os.fsync(self._fd)
            _fsync_folder(path.parent)
        except OSError as error:
            opened.close()
            raise JournalError(f"{path}: {error.strerror}; give a file that can be written") from None
        self._clean = True

    def append(self, records: Sequence[Record]) -> None:
        """Writes records for good: one write and one fsync for all of them.

        Raises:
            JournalError: none of them was written, and all earlier ones are intact.
        """
        data = b"".join(map(encode, records))
        try:
            if not self._clean:
                os.ftruncate(self._fd, self._end)
            self._clean = False
            _write_all(self._fd, data)
            os.fsync(self._fd)
        except OSError as error:
            with suppress(OSError):  # `_clean` stays False: the next append cuts it off first, or the next opening
                os.ftruncate(self._fd, self._end)
            raise JournalError(
                f"{self.path}: {error.strerror}; earlier records are intact: mend it and run the same command to resume"
            ) from None
        self._end += len(data)
        self._clean = True

    def close(self) -> None:
        os.close(self._fd)
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Scan:
    """What a journal holds: its records in order, its damaged lines, and whether its last line is torn."""

    records: list[Record]
    quarantined: list[Quarantined]
    torn: bool


class Follower:
    """Reads a journal while another process writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._decoder = Decoder()
        self._offset_bytes = 0
        self._line = 0

    def poll(self) -> Iterator[Record | Quarantined]:
        """The complete lines that came since the last poll; none while there is no file."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self._offset_bytes)
            for line in _complete_lines(file):
                self._offset_bytes += len(line)
                self._line += 1
                for entry in self._decoder.entries(line, self._line):
                    if isinstance(entry, Quarantined):
                        _LOGGER.warning("%s: line %d is quarantined: %s", self.path, entry.line, entry.reason)
                    yield entry


def lock_of(path: Path) -> Path:
    """The lock file of a journal."""
    return path.with_name(path.name + ".lock")


def scan(path: Path) -> Scan:
    """Reads a whole journal without locking it: damaged lines are passed over and reported.

    Raises:
        InputError: there is no such file.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such journal; give the folder of a run")
    follower, records, quarantined = Follower(path), [], []
    with _without_collection():
        for entry in follower.poll():
            if isinstance(entry, Record):
                records.append(entry)
            else:
                quarantined.append(entry)
    return Scan(records, quarantined, torn=path.stat().st_size > follower._offset_bytes)


def read(path: Path) -> Iterator[Record]:
    """The records of a journal in order, damaged lines left out; nothing where there is no file."""
    return (entry for entry in Follower(path).poll() if isinstance(entry, Record))


@contextmanager
def _without_collection() -> Iterator[None]:
    """Keeps Python from looking for cycles among a million new objects again and again; records form none."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _complete_lines(file: BinaryIO) -> Iterator[bytes]:
    return (line for line in file if line.endswith(b"\n"))


def _complete_bytes(path: Path) -> int:
    """Length without the torn line at its end; only the end of what may be gigabytes is read."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            begin = max(0, end - _BLOCK_BYTES)
            file.seek(begin)
            if newline := file.read(end - begin).rfind(b"\n") + 1:
                return begin + newline
            end = begin
    return 0


def _write_all(fd: int, data: bytes) -> None:
    """One write, unless the system takes less: then the rest again, so that the reason shows."""
    while data:
        data = data[os.write(fd, data) :]


def _fsync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
