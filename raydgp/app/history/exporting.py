"""Our measurements in formats that others read."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from raydgp.errors import InputError
from raydgp.records import Measurement, t4
from raydgp.records.files import read_records
from raydgp.records.history import first, searched
from raydgp.records.recorded import RecordedSpace, is_recorded
from raydgp.records.run import JOURNAL_NAME

_Measured = list[tuple[dict[str, Any], Measurement]]


def export_t4(source: Path, out: Path) -> dict[Path, int]:
    """Writes T4 results, a file for each task.

    Args:
        source: a run, a journal, or a Parquet file of records or of a recorded space.
        out: the file; a folder where there are several tasks.

    Returns:
        The files, and how many measurements each has.

    Raises:
        InputError: the source is none of these, or holds nothing.
    """
    tasks = _tasks(source / JOURNAL_NAME if source.is_dir() else source)
    if not tasks:
        raise InputError(f"{source}: holds no measurements; give a run, a journal or a Parquet file")
    if len(tasks) == 1:
        files = dict.fromkeys(tasks, out)
    else:
        files = {name: out / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.json" for name in tasks}
    for name, measured in tasks.items():
        files[name].parent.mkdir(parents=True, exist_ok=True)
        files[name].write_text(json.dumps(t4.results(measured), indent=1))
    return {files[name]: len(measured) for name, measured in tasks.items()}


def _tasks(file: Path) -> dict[str, _Measured]:
    """Knobs and outcome of each measurement, by task."""
    if not file.is_file():
        raise InputError(f"{file}: no such file; give a run, a journal or a Parquet file")
    if file.suffix == ".parquet" and is_recorded(file):
        recorded = RecordedSpace.load(file)
        rows = map(recorded.measurement, range(len(recorded.indices)))
        return {recorded.name: [(recorded.space.decode(each.index), each) for each in rows]}
    tasks: defaultdict[str, _Measured] = defaultdict(list)
    for record in first(filter(searched, read_records(file))):
        tasks[record.context.task].append((record.knobs, record.measurement))
    return dict(tasks)
