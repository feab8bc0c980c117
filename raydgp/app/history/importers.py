"""What other tuners have recorded, as history of ours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raydgp import models
from raydgp.errors import InputError
from raydgp.records import Scan
from raydgp.records.frames import write_parquet
from raydgp.records.importers import autotvm_log, kernel_tuner

_NUMBERS = 5  # of lines, told for each reason


def import_files(files: Sequence[Path], device: str | None, out: Path) -> tuple[int, dict[str, list[str]]]:
    """Writes what others have recorded: logs as one file of records, whole spaces as recorded spaces.

    Args:
        device: name of the device that they were measured on, where the files do not say it.
        out: Parquet file to write; a folder of them for several recorded spaces.

    Returns:
        How many measurements were written, and what each file gave, in lines.

    Raises:
        InputError: a file cannot be read, files of both kinds, or nothing in them can be used.
    """
    spaces = {file: read for file in files if not file.is_dir() and (read := kernel_tuner.content(file)) is not None}
    if not spaces:
        return import_logs(files, device, out)
    if logs := [file for file in files if file not in spaces]:
        raise InputError(f"{logs[0]} is a log, {next(iter(spaces))} is not; import them one after the other")
    return _import_spaces(spaces, device, out)


def _import_spaces(
    files: Mapping[Path, Mapping[str, Any]], device: str | None, out: Path
) -> tuple[int, dict[str, list[str]]]:
    descriptions = {file: kernel_tuner.description(file, read) for file, read in files.items()}
    described = [each for each in descriptions.values() if each]
    if len(described) > 1:
        raise InputError("two T1 files; import what each describes in a call of its own")
    measured = [file for file, found in descriptions.items() if found is None]
    if not measured:
        raise InputError(f"{next(iter(files))}: describes a space without measurements; add T4 results")
    found = {
        file: kernel_tuner.recorded_space(file, files[file], described[0] if described else None, device)
        for file in measured
    }
    for file, (space, _) in found.items():
        space.save(out if len(found) == 1 else out / f"{file.name.partition('.')[0]}.parquet")
    gave = {str(file): lines for file, (_, lines) in found.items()}
    return sum(len(space.indices) for space, _ in found.values()), gave


def import_logs(files: Sequence[Path], device: str | None, out: Path) -> tuple[int, dict[str, list[str]]]:
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


def scan(path: Path, device: str | None) -> Scan:
    """Reads a log of AutoTVM, or a folder with a MetaSchedule database.

    Args:
        device: name of the device that it was measured on, where no `-model=` says it.

    Raises:
        InputError: it is neither.
    """
    if path.is_dir():
        if device is None:
            raise InputError(f"{path}: a MetaSchedule database names no device; give --device")
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
