"""Records as a table: a pandas DataFrame, or a Parquet file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from raydgp.records.history import sorted_json
from raydgp.records.measurement import Phases
from raydgp.records.record import Record


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
        **msgspec.structs.asdict(measured.phases),
        "error": measured.error,
        "time_unix_s": measured.time_unix_s,
        "workload": sorted_json(context.workload),
        "target": sorted_json(context.target.to_dict()),
        "knobs": json.dumps(record.knobs),
        "device": sorted_json(measured.device),
        "versions": sorted_json(measured.versions),
        "resources": json.dumps(msgspec.to_builtins(measured.resources)),
        "conditions": sorted_json(measured.conditions),
        "caches": measured.caches,
    }


def _record(row: Mapping[Any, Any]) -> Record:
    context = {key: row[key] for key in ("run", "task", "strategy", "seed", "space_hash")}
    context |= {key: json.loads(row[key]) for key in ("workload", "target")}
    measured = {key: row[key] for key in ("index", "status", "times_s", "error", "time_unix_s")}
    measured |= {key: json.loads(row[key]) for key in ("device", "versions")}
    measured |= {key: json.loads(row[key]) for key in ("resources", "conditions") if key in row}  # not in older files
    measured["caches"] = row.get("caches", "")
    measured["phases"] = {name: row[name] for name in Phases.__struct_fields__}
    knobs = json.loads(row["knobs"])
    return Record.from_dict({"context": context, "trial": row["trial"], "knobs": knobs, "measurement": measured})
