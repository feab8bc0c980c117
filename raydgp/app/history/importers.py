"""What other tuners have recorded, as history of ours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from raydgp import models
from raydgp.errors import InputError
from raydgp.records import Scan
from raydgp.records.frames import write_parquet
from raydgp.records.importers import autotvm_log

_NUMBERS = 5  # of lines, told for each reason


def import_logs(files: Sequence[Path], device: str, out: Path) -> tuple[int, dict[str, list[str]]]:
    """Writes what other tuners' logs hold as one Parquet file of records.

    Args:
        device: as `scan`.

    Returns:
        How many records were written, and what each file gave, in lines.

    Raises:
        InputError: a file cannot be read, or no record belongs to a known space.
    """
    scans = {file: scan(file, device) for file in files}
    records = [record for found in scans.values() for record in found.records]
    gave = {str(file): [f"{len(found.records)} records", *left_out(found)] for file, found in scans.items()}
    if not records:
        reasons = ", ".join(f"{file} ({'; '.join(lines)})" for file, lines in gave.items())
        raise InputError(f"no record belongs to a known space: {reasons}; give other files")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_parquet(records, out)
    return len(records), gave


def scan(path: Path, device: str) -> Scan:
    """Reads a log of AutoTVM, or a folder with a MetaSchedule database.

    Args:
        device: name of the device that it was measured on, which neither of them says.

    Raises:
        InputError: it is neither.
    """
    if path.is_dir():
        return models.databases.scan(path, device)
    return autotvm_log.scan(path, device)


def left_out(found: Scan) -> list[str]:
    """One line for each reason for which lines were passed over: how many, why, and where."""
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for line in found.quarantined:
        numbers[line.reason].append(line.line)
    return [
        f"{len(lines)} left out: {reason} (line {', '.join(map(str, lines[:_NUMBERS]))}"
        f"{', ...' if len(lines) > _NUMBERS else ''})"
        for reason, lines in numbers.items()
    ]
