"""What other tuners have recorded, as history of ours."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from raydgp import models
from raydgp.records import Scan
from raydgp.records.importers import autotvm_log

_NUMBERS = 5  # of lines, told for each reason


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
