"""The journal: the one truth of a run, JSON lines, each a measurement that can be understood on its own.

A line is the record's JSON object with the CRC-32 of what comes before it as its last member. It is complete when it
ends in a newline; anything after the last newline was torn by a crash and never happened. So journals can be merged
with `cat`; of the records with one identity the first counts (`history.first`). Its older lines may have been compacted
into `segments`, which changes nothing for who reads it.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from raydgp.errors import InputError, JournalError, first_line
from raydgp.records.lines import Decoder, Quarantined, encode, goes_on, segments_before
from raydgp.records.lines import decode as decode
from raydgp.records.lock import FileLock, Held
from raydgp.records.record import Context, Record

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

    def compact(self) -> int:
        """Moves all lines into a segment: that is read back before a file that goes on after it replaces this one.

        Returns:
            How many lines it holds; 0 where there were none.

        Raises:
            JournalError: it could not be written; no line is lost.
        """
        from raydgp.records import segments  # loads pyarrow, which a run does not need

        with self.path.open("rb") as file:
            before = segments_before(file.readline())
        if self._end == len(goes_on(before)) * bool(before):
            return 0
        try:
            if not self._clean:
                os.ftruncate(self._fd, self._end)
            segment = segments.write(self.path, before)
            self._begin_anew(goes_on(before + 1))
        except OSError as error:
            reason = error.strerror or first_line(error)
            raise JournalError(f"{self.path}: {reason}; no line is lost: mend it and compact again") from None
        return segment.lines

    def _begin_anew(self, line: bytes) -> None:
        """Puts a file of one line in the place of the journal's; readers that have that open keep it."""
        anew = self.path.with_suffix(".anew")
        fd = os.open(anew, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            _write_all(fd, line)
            os.fsync(fd)
            os.replace(anew, self.path)
            os.dup2(fd, self._fd, inheritable=False)
        finally:
            os.close(fd)
        self._end, self._clean = len(line), True
        _fsync_folder(self.path.parent)

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
    """Reads a journal while another process writes or compacts it.

    Args:
        wanted: whose records; everyone's by default.
    """

    def __init__(self, path: Path, wanted: Callable[[Context], bool] | None = None) -> None:
        self.path, self._wanted = path, wanted
        self._decoder = Decoder(wanted)
        self._offset_bytes = self._line = 0  # of the stream of all lines, those of segments first
        self.torn = False

    def poll(self) -> Iterator[Record | Quarantined]:
        """The complete lines that came since the last poll; none while there is no file."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            first = file.readline()
            begin_bytes = len(first) if (before := segments_before(first)) else 0
            if before:
                begin_bytes -= yield from self._poll_segments(before)
            file.seek(begin_bytes + self._offset_bytes)
            for line in file:
                self.torn = not line.endswith(b"\n")
                if self.torn:
                    return
                self._offset_bytes += len(line)
                self._line += 1
                yield from self._entries(line)

    def _poll_segments(self, count: int) -> Generator[Record | Quarantined, None, int]:
        """What has come with segments; returns how many bytes they hold."""
        from raydgp.records import segments  # loads pyarrow, which a journal that was not compacted does not need

        end_line = end_bytes = 0
        for segment in segments.segments(self.path, count):
            begin_line, end_line = end_line, end_line + segment.lines
            end_bytes += segment.size_bytes
            if self._line < end_line:
                for place, line in segment.read(self._line - begin_line, self._wanted):
                    self._line = begin_line + place + 1
                    yield from self._entries(line)
                self._line, self._offset_bytes = end_line, end_bytes
        return end_bytes

    def _entries(self, line: bytes) -> Iterator[Record | Quarantined]:
        for entry in self._decoder.entries(line, self._line):
            if isinstance(entry, Quarantined):
                _LOGGER.warning("%s: line %d is quarantined: %s", self.path, entry.line, entry.reason)
            yield entry


def lock_of(path: Path) -> Path:
    """The lock file of a journal."""
    return path.with_name(path.name + ".lock")


def scan(path: Path, wanted: Callable[[Context], bool] | None = None) -> Scan:
    """Reads a whole journal without locking it: damaged lines are passed over and reported.

    Args:
        wanted: whose records; everyone's by default.

    Raises:
        InputError: there is no such file.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such journal; give the folder of a run")
    follower, records, quarantined = Follower(path, wanted), [], []
    with _without_collection():
        for entry in follower.poll():
            if isinstance(entry, Record):
                records.append(entry)
            else:
                quarantined.append(entry)
    return Scan(records, quarantined, follower.torn)


def read(path: Path, wanted: Callable[[Context], bool] | None = None) -> Iterator[Record]:
    """The records of a journal in order, damaged lines left out; nothing where there is no file.

    Args:
        wanted: whose; everyone's by default. What others' lines say is not looked at.
    """
    return (entry for entry in Follower(path, wanted).poll() if isinstance(entry, Record))


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
