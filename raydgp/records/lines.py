"""One line of a journal: a record's JSON with its checksum, written and read back.

A journal has a million lines, and most of a line is what other lines say, too: whose measurement it is, and where. Such
parts are parsed once and shared. What a line says for itself goes through msgspec, and knobs wait until they are asked
for. What msgspec does not take is read by the standard library and judged field by field: infinite times, or a reason.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import asdict

from raydgp.errors import InputError
from raydgp.records.measurement import Measurement, Natural, Phases, Resources, Status
from raydgp.records.record import Context, Record

_SUFFIX = b',"crc32":"%08x"}\n'
_SUFFIX_BYTES = len(_SUFFIX % 0)
_FIRST, _SECOND = b'{"context":', b',"trial":'
_COMPACTED = b'{"segments":'
_MOST_SHARED = 10_000


@dataclass(frozen=True)
class Quarantined:
    """A complete line that is not a record: its number, from 1, and what is wrong with it."""

    line: int
    reason: str


class _Used(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    kernel: str
    registers: Natural
    spill_bytes: Natural
    shared_bytes: Natural


class _Measured(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
    """A measurement as a line has it; what many share is text."""

    index: Natural
    status: Status
    times_s: tuple[float, ...]
    phases: Phases
    error: str
    device: Raw
    versions: Raw
    time_unix_s: float
    resources: tuple[_Used, ...] = ()
    conditions: dict[str, float] = {}
    caches: str = ""


class _Line(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    context: Raw
    trial: Natural
    knobs: Raw
    measurement: _Measured
    crc32: str


def encode(record: Record) -> bytes:
    """One line: floats in the shortest form that reads back exactly."""
    body = json.dumps(record.to_dict(), separators=(",", ":")).encode()[:-1]
    return body + _SUFFIX % zlib.crc32(body)


def decode(line: bytes) -> Record:
    """Inverse of `encode`.

    Raises:
        InputError: bad checksum, or not a record.
    """
    record = Decoder().decode(line)
    assert record, "everyone's are wanted"
    return record


def goes_on(segments: int) -> bytes:
    """The line that the file of a compacted journal begins with: how many segments come before it."""
    body = _COMPACTED + b"%d" % segments
    return body + _SUFFIX % zlib.crc32(body)


def segments_before(line: bytes) -> int:
    """Inverse of `goes_on`; 0 for any other line."""
    number = line[len(_COMPACTED) : -_SUFFIX_BYTES]
    return int(number) if number.isdigit() and line == goes_on(int(number)) else 0


def segments_folder(journal: Path) -> Path:
    """Where the segments of a journal are, see `raydgp.records.segments`."""
    return journal.with_suffix(".segments")


def context_text(line: bytes) -> bytes:
    """The JSON of a record's context.

    Raises:
        ValueError: it is none's line.
    """
    return line[len(_FIRST) : line.index(_SECOND)]


class Decoder:
    """Reads the lines of a journal one after the other; what they share is one object in all of their records.

    Args:
        wanted: whose records are made; everyone's by default. Those of others are passed over, which is far quicker.
    """

    def __init__(self, wanted: Callable[[Context], bool] | None = None) -> None:
        self._wanted = wanted
        self._line: msgspec.json.Decoder[_Line] = msgspec.json.Decoder(_Line)
        self._contexts: dict[bytes, Context | None] = {}  # None is not wanted
        self._objects: dict[bytes, dict[str, Any]] = {}

    def entries(self, line: bytes, number: int) -> Iterator[Record | Quarantined]:
        """What a complete line holds: a record, or a fault, or both where a torn record stands before a whole one."""
        try:
            record = self.decode(line)
        except InputError as error:
            yield Quarantined(number, str(error))
            whole = line.rfind(_FIRST, 1)
            try:
                record = self.decode(line[whole:]) if whole > 0 else None
            except InputError:
                return
        if record:
            yield record

    def decode(self, line: bytes) -> Record | None:
        """The record of a line; None where it is not wanted.

        Raises:
            InputError: bad checksum, or not a record.
        """
        body = line[:-_SUFFIX_BYTES]
        if line[-_SUFFIX_BYTES:] != _SUFFIX % zlib.crc32(body):
            raise InputError("bad checksum")
        try:
            if self._wanted and self._context(context_text(body)) is None:
                return None
            return self._quickly(line)
        except (ValueError, TypeError, RecursionError, msgspec.DecodeError):
            record = _slowly(body)
        return record if self._wanted is None or self._wanted(record.context) else None

    def _quickly(self, line: bytes) -> Record | None:
        """The record of what `encode` has written.

        Raises:
            ValueError, TypeError, RecursionError, msgspec.DecodeError: it says something odd.
        """
        said = self._line.decode(line)
        context = self._context(bytes(said.context))
        if context is None:
            return None
        own = said.measurement
        measured = Measurement(
            index=own.index,
            status=own.status,
            times_s=own.times_s,
            phases=own.phases,
            error=own.error,
            device=self._object(bytes(own.device)),
            versions=self._object(bytes(own.versions)),
            time_unix_s=own.time_unix_s,
            resources=tuple(Resources(**asdict(used)) for used in own.resources),
            conditions=own.conditions,
            caches=own.caches,
        )
        return Record.undecoded(context, said.trial, bytes(said.knobs), measured)

    def _context(self, text: bytes) -> Context | None:
        try:
            return self._contexts[text]
        except KeyError:
            context = Context.from_dict(json.loads(text))
            kept = context if self._wanted is None or self._wanted(context) else None
            _share(self._contexts, text, kept)
            return kept

    def _object(self, text: bytes) -> dict[str, Any]:
        try:
            return self._objects[text]
        except KeyError:
            value = json.loads(text)
            if not isinstance(value, dict):
                raise ValueError("not an object") from None
            _share(self._objects, text, value)
            return value


def _share(shared: dict[bytes, Any], key: bytes, value: Any) -> None:
    if len(shared) >= _MOST_SHARED:
        shared.clear()
    shared[key] = value


def _slowly(body: bytes) -> Record:
    try:
        return Record.from_dict(json.loads(body + b"}"))
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"not a record: {error}") from None
