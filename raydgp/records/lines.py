"""One line of a journal: a record's JSON with its checksum, written and read back.

A journal has a million lines, and most of a line is what other lines say, too: whose measurement it is, and where. Such
parts are parsed once and shared. What a line says for itself goes through msgspec, and knobs wait until they are asked
for. Whatever does not look like what `encode` writes is read by the standard library and judged field by field.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from raydgp.errors import InputError
from raydgp.records.measurement import LARGEST, Measurement, check_measurement
from raydgp.records.record import Context, Record

_SUFFIX = b',"crc32":"%08x"}\n'
_SUFFIX_BYTES = len(_SUFFIX % 0)
_FIRST, _TRIAL, _DEVICE, _TIME = b'{"context":', b',"trial":', b',"device":', b',"time_unix_s":'
_MEASURED, _KEY = b',"measurement":{', b'":'
_KEYS = 11  # of a measurement before its device, those of its phases and its own name among them
_MOST_SHARED = 10_000
_set_field = object.__setattr__


@dataclass(frozen=True)
class Quarantined:
    """A complete line that is not a record: its number, from 1, and what is wrong with it."""

    line: int
    reason: str


class _Own(msgspec.Struct, forbid_unknown_fields=True):
    """What a line says for itself, without what it shares with others."""

    trial: int
    knobs: msgspec.Raw
    measurement: Measurement


def encode(record: Record) -> bytes:
    """One line: floats in the shortest form that reads back exactly."""
    body = json.dumps(record.to_dict(), separators=(",", ":")).encode()[:-1]
    return body + _SUFFIX % zlib.crc32(body)


def decode(line: bytes) -> Record:
    """Inverse of `encode`.

    Raises:
        InputError: bad checksum, or not a record.
    """
    return Decoder().decode(line)


class Decoder:
    """Reads the lines of a journal one after the other; what they share is one object in all of their records."""

    def __init__(self) -> None:
        self._own: msgspec.json.Decoder[_Own] = msgspec.json.Decoder(_Own)
        self._contexts: dict[bytes, Context] = {}
        self._machines: dict[bytes, tuple[dict[str, Any], dict[str, str]]] = {}

    def entries(self, line: bytes, number: int) -> Iterator[Record | Quarantined]:
        """What a complete line holds: a record, or a fault, or both where a torn record stands before a whole one."""
        try:
            yield self.decode(line)
        except InputError as error:
            yield Quarantined(number, str(error))
            whole = line.rfind(_FIRST, 1)
            if whole > 0:
                try:
                    yield self.decode(line[whole:])
                except InputError:
                    return

    def decode(self, line: bytes) -> Record:
        """The record of a line.

        Raises:
            InputError: bad checksum, or not a record.
        """
        body = line[:-_SUFFIX_BYTES]
        if line[-_SUFFIX_BYTES:] != _SUFFIX % zlib.crc32(body):
            raise InputError("bad checksum")
        try:
            return self._quickly(body)
        except (ValueError, TypeError, RecursionError, msgspec.DecodeError):
            return _slowly(body)

    def _quickly(self, body: bytes) -> Record:
        """The record of what `encode` has written.

        Raises:
            ValueError, TypeError, RecursionError, msgspec.DecodeError: it is not of that form, or says something odd.
        """
        trial = body.index(_TRIAL)
        measured_at = body.index(_MEASURED, trial)
        device = body.index(_DEVICE, measured_at)
        time = body.index(_TIME, device)
        own = self._own.decode(b"{" + body[trial + 1 : device] + body[time:] + b"}")
        measured, index = own.measurement, own.measurement.index
        # Types are msgspec's to check; it knows no unknown fields of a dataclass, and neither knows the sizes.
        keys = body.count(_KEY, measured_at, device)
        more = body.count(_KEY, time) - 1 if body.find(b",", time + 1) > 0 else 0
        if keys != _KEYS or more != _optional_keys(measured) or not 0 <= index <= LARGEST:
            raise ValueError("not as it is written")
        if measured.resources:
            check_measurement(measured)
        key = body[len(_FIRST) : trial]
        context = self._contexts.get(key)
        if context is None:
            context = _share(self._contexts, key, Context.from_dict(json.loads(key)))
        key = body[device:time]
        machine = self._machines.get(key)
        if machine is None:
            machine = _share(self._machines, key, _machine(key))
        _set_field(measured, "device", machine[0])
        _set_field(measured, "versions", machine[1])
        return Record.undecoded(context, own.trial, bytes(own.knobs), measured)


def _share(shared: dict[bytes, Any], key: bytes, value: Any) -> Any:
    if len(shared) >= _MOST_SHARED:
        shared.clear()
    shared[key] = value
    return value


def _optional_keys(measured: Measurement) -> int:
    """Keys of what few measurements have."""
    count = int(bool(measured.caches))
    if measured.resources:
        count += 1 + 4 * len(measured.resources)
    if measured.conditions:
        count += 1 + len(measured.conditions)
    return count


def _machine(text: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    said = json.loads(b"{" + text[1:] + b"}")
    if said.keys() != {"device", "versions"} or not all(isinstance(value, dict) for value in said.values()):
        raise ValueError("not a device and its versions")
    return said["device"], said["versions"]


def _slowly(body: bytes) -> Record:
    try:
        return Record.from_dict(json.loads(body + b"}"))
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"not a record: {error}") from None
