"""What the records say: which configurations are known, and the records as a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pandas as pd

from raydgp.records.measurement import Measurement, Phases, Record, Status


def identity(record: Record) -> tuple[str, int, str, str]:
    """What makes two records measurements of the same thing: space, configuration, target and device."""
    measured = record.measurement
    return record.context.space_hash, measured.index, _json(record.context.target), _json(measured.device)


def first(records: Iterable[Record]) -> list[Record]:
    """The records that count, in order: of one identity the first, runner_lost only where nothing else is known."""
    kept: dict[tuple[str, int, str, str], Record] = {}
    for record in records:
        key = identity(record)
        if key not in kept or kept[key].measurement.status is Status.RUNNER_LOST:
            kept[key] = record
    return list(kept.values())


def known(records: Iterable[Record], space_hash: str) -> dict[int, Measurement]:
    """What is known of one space: configuration -> its first measurement.

    A configuration whose runner was lost is not known: it is measured again when a run resumes.
    """
    out: dict[int, Measurement] = {}
    for record in records:
        measured = record.measurement
        if record.context.space_hash == space_hash and measured.status is not Status.RUNNER_LOST:
            out.setdefault(measured.index, measured)
    return out


def to_frame(records: Iterable[Record]) -> pd.DataFrame:
    """One row a record; what is nested (workload, target, knobs, ...) is JSON text, times_s a list.

    `median_s` is missing where the measurement is not ok.
    """
    return pd.DataFrame([_row(record) for record in records])


def write_parquet(records: Iterable[Record], path: Path) -> None:
    """Writes `to_frame(records)` as Parquet: all that the journal knows, compressed."""
    to_frame(records).to_parquet(path, index=False, compression="zstd")


def read_parquet(path: Path) -> list[Record]:
    """Inverse of `write_parquet`."""
    return [_record(row) for row in pd.read_parquet(path).to_dict("records")]


def _row(record: Record) -> dict[str, Any]:
    context, measured = record.context, record.measurement
    return {
        "run": context.run,
        "task": context.task,
        "strategy": context.strategy,
        "seed": context.seed,
        "trial": record.trial,
        "space_hash": context.space_hash,
        "index": measured.index,
        "status": str(measured.status),
        "median_s": measured.median_s if measured.ok else None,
        "times_s": list(measured.times_s),
        **asdict(measured.phases),
        "error": measured.error,
        "time_unix_s": measured.time_unix_s,
        "workload": _json(context.workload),
        "target": _json(context.target),
        "knobs": json.dumps(record.knobs),
        "device": _json(measured.device),
        "versions": _json(measured.versions),
        "resources": json.dumps([asdict(used) for used in measured.resources]),
        "conditions": _json(measured.conditions),
    }


def _record(row: Mapping[Any, Any]) -> Record:
    context = {key: row[key] for key in ("run", "task", "strategy", "seed", "space_hash")}
    context |= {key: json.loads(row[key]) for key in ("workload", "target")}
    measured = {key: row[key] for key in ("index", "status", "times_s", "error", "time_unix_s")}
    measured |= {key: json.loads(row[key]) for key in ("device", "versions")}
    measured |= {key: json.loads(row[key]) for key in ("resources", "conditions") if key in row}  # not in older files
    measured["phases"] = {field.name: row[field.name] for field in fields(Phases)}
    knobs = json.loads(row["knobs"])
    return Record.from_dict({"context": context, "trial": row["trial"], "knobs": knobs, "measurement": measured})


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True)
