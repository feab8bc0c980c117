"""Measurements of every kind of source, sorted into what one surrogate learns from."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from raydgp.data import history
from raydgp.errors import InputError
from raydgp.records import Record, Status
from raydgp.records.files import read_records
from raydgp.records.history import first
from raydgp.records.lines import segments_folder
from raydgp.records.recorded import RecordedSpace, is_recorded
from raydgp.records.run import JOURNAL_NAME
from raydgp.space import ConfigSpace
from raydgp.surrogates.history import Measured
from raydgp.templates.spaces import config_spaces
from raydgp.workloads import from_dict


def gather(paths: Sequence[Path], records: Iterable[Record] = ()) -> list[Measured]:
    """All that files and folders know, a configuration of a space and device counted once.

    Args:
        paths: journals, Parquet files of records or of recorded spaces, run folders, folders of any of these,
            or names of what the package holds.
        records: further ones, of MLflow say.

    Raises:
        InputError: a path that is none of these, or nothing in them.
    """
    recorded: list[Measured] = []
    loose = list(records)
    for file in _files(paths):
        if file.suffix == ".parquet" and is_recorded(file):
            recorded.append(_of_recorded(RecordedSpace.load(file)))
        else:
            loose += read_records(file)
    tasks = [*recorded, *_of_records(loose)]
    if not tasks:
        raise InputError(f"{', '.join(map(str, paths)) or 'history'}: no measurements; give journals or Parquet files")
    return tasks


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in chain.from_iterable(map(history, paths)):
        if path.is_file():
            yield path
        elif (path / JOURNAL_NAME).is_file():
            yield path / JOURNAL_NAME
        elif path.is_dir():
            journals = list(path.rglob(JOURNAL_NAME))
            packed = {segments_folder(journal) for journal in journals}  # read with their journals
            found = sorted([*(file for file in path.rglob("*.parquet") if file.parent not in packed), *journals])
            if not found:
                raise InputError(f"{path}: holds neither journals nor Parquet files")
            yield from found
        else:
            raise InputError(f"{path}: no such file or folder; give journals, Parquet files, or folders of them")


def _of_recorded(recorded: RecordedSpace) -> Measured:
    gflops = recorded.gflops
    return Measured(recorded.space, recorded.indices, gflops, gflops > 0, str(recorded.device.get("name", "")))


def _of_records(records: Iterable[Record]) -> Iterator[Measured]:
    """Records of sub-spaces are numbered anew in the whole space of their workload; what it lacks is left out."""
    parts: defaultdict[tuple[str, ...], list[Record]] = defaultdict(list)
    for record in first(records):
        device = str(record.measurement.device.get("name", ""))
        workload = json.dumps(record.context.workload, sort_keys=True)
        if record.measurement.status is not Status.RUNNER_LOST:
            key = workload, record.context.target.kind, device, record.measurement.caches, *sorted(record.knobs)
            parts[key].append(record)
    for (_, target, device, _, *names), part in parts.items():
        spaces = config_spaces(from_dict(part[0].context.workload), target)
        space = next((space for space in spaces if sorted(k.name for k in space.knobs) == names), spaces[0])
        rows: dict[int, float] = {}
        for record in part:
            index = _index(space, record)
            if index is not None:
                rows.setdefault(index, record.measurement.gflops(space.workload.flops))
        if rows:
            gflops = np.array(list(rows.values()))
            yield Measured(space, np.array(list(rows), np.int64), gflops, gflops > 0, device)


def _index(space: ConfigSpace, record: Record) -> int | None:
    if record.context.space_hash == space.hash:
        return record.measurement.index
    try:
        return space.encode(record.knobs)
    except InputError:  # another version's template
        return None
