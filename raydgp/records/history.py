"""What the records say: which of them count, and which configurations of a space are known."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from raydgp.records.measurement import Measurement, Status
from raydgp.records.record import Record
from raydgp.targets import Target

_MOST_TEXTS = 1000
FINALISTS = "finalists"  # in place of the strategy: deploying measured it again, no search asked for it


def searched(record: Record) -> bool:
    """Whether a search asked for it; else a deployment has measured it again."""
    return record.context.strategy != FINALISTS


@dataclass(frozen=True)
class Machine:
    """The kind of machine that a run is of: only timings of one kind can be compared.

    Attributes:
        target, device: as in a record.
    """

    target: Target
    device: dict[str, Any]

    @classmethod
    def of(cls, record: Record) -> Machine:
        """The kind that a record was measured on."""
        return cls(record.context.target, record.measurement.device)

    def measured(self, record: Record) -> bool:
        """Whether a record is of this kind of machine."""
        device = record.measurement.device
        return record.context.target == self.target and (device == self.device or not self.unlike(device))

    def unlike(self, device: dict[str, Any]) -> list[str]:
        """Keys in which a device differs so that its timings are others; what one of the two leaves unsaid does not."""
        here, there = (self.target.behaviour.alike(each) for each in (self.device, device))
        return [key for key in here if here[key] != there[key] and None not in (here[key], there[key])]


def identity(record: Record) -> tuple[str, int, Target, str, str]:
    """What makes two records measurements of the same thing: space, configuration, target, device, state of caches."""
    measured = record.measurement
    return (
        record.context.space_hash,
        measured.index,
        record.context.target,
        _device_text(measured.device),
        measured.caches,
    )


def first(records: Iterable[Record]) -> list[Record]:
    """The records that count, in order: of one identity the first, runner_lost only where nothing else is known."""
    kept: dict[tuple[str, int, Target, str, str], Record] = {}
    for record in records:
        key = identity(record)
        if key not in kept or kept[key].measurement.status is Status.RUNNER_LOST:
            kept[key] = record
    return list(kept.values())


def known(records: Iterable[Record], space_hash: str) -> dict[int, Measurement]:
    """What is known of one space: configuration -> its first measurement.

    A configuration whose runner was lost is not known: it is measured again when a run resumes. What deploying has
    measured again is not either: a search's measurements are counted.
    """
    out: dict[int, Measurement] = {}
    for record in records:
        measured = record.measurement
        lost = measured.status is Status.RUNNER_LOST
        if record.context.space_hash == space_hash and not lost and searched(record):
            out.setdefault(measured.index, measured)
    return out


_texts: dict[int, tuple[dict[str, Any], str]] = {}  # of devices by their identity: records of a journal share them


def _device_text(device: dict[str, Any]) -> str:
    known = _texts.get(id(device))
    if known is None or known[0] is not device:
        if len(_texts) >= _MOST_TEXTS:
            _texts.clear()
        known = _texts[id(device)] = device, sorted_json(device)
    return known[1]


def sorted_json(value: dict[str, Any]) -> str:
    """JSON that is the same for equal values."""
    return json.dumps(value, sort_keys=True)
