"""What won on other devices, in the space of one layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from raydgp.errors import InputError
from raydgp.records import Record
from raydgp.records.files import read_records
from raydgp.records.history import sorted_json
from raydgp.records.importers import autotvm_log
from raydgp.records.recorded import RecordedSpace, is_recorded
from raydgp.space import ConfigSpace

Knobs = dict[str, Any]


def winners(paths: Sequence[Path], space: ConfigSpace) -> list[int]:
    """The valid configurations of a space that are the best of some layer elsewhere, in the order of the files.

    A winner fits another layer's space where that has the same knobs with its options. Of a split it is all factors but
    the outermost, which is what is left of the loop (in AutoTVM's logs it is -1).

    Raises:
        InputError: a file that is none of measurements.
    """
    found: dict[int, None] = {}
    tails = {knob.name: {label[1:]: label for label in knob.labels if isinstance(label, tuple)} for knob in space.knobs}
    for path in paths:
        for knobs in _best_of(path):
            with suppress(InputError):  # another template's, or of other extents
                found[space.encode(_fitted(knobs, tails))] = None
    indices = np.array(list(found), np.int64)
    return indices[space.valid(indices)].tolist()


def _fitted(knobs: Knobs, tails: dict[str, dict[tuple[int, ...], tuple[int, ...]]]) -> Knobs:
    """Knobs with the outermost factors of a space; what it has not stays as it is.

    Args:
        tails: by knob, all factors but the outermost -> the option.
    """
    return {
        name: tails.get(name, {}).get(tuple(value[1:]), value) if isinstance(value, list | tuple) else value
        for name, value in knobs.items()
    }


@lru_cache(maxsize=16)  # a plan names the same files for many tasks
def _best_of(path: Path) -> list[Knobs]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a journal, a Parquet file or a log of AutoTVM's winners")
    if path.suffix == ".log":
        return [record.knobs for record in autotvm_log.scan(path, path.stem).records if record.measurement.ok]
    if path.suffix == ".parquet" and is_recorded(path):
        recorded = RecordedSpace.load(path)
        return [recorded.space.decode(int(recorded.indices[recorded.gflops.argmax()]))]
    return list(_best(read_records(path)))


def _best(records: Sequence[Record]) -> Iterator[Knobs]:
    """Of each space, target and device the fastest."""
    best: dict[tuple[Any, ...], Record] = {}
    for record in records:
        key = (record.context.space_hash, record.context.target, sorted_json(record.measurement.device))
        if record.measurement.ok and (key not in best or record.measurement.median_s < best[key].measurement.median_s):
            best[key] = record
    yield from (record.knobs for record in best.values())
