"""Measures a whole sub-space, journalled so that it can be stopped and resumed, and keeps it as one Parquet file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from raydgp.measure import Measurer
from raydgp.records import Context, Journal, Measurement, Record, read
from raydgp.records.history import known
from raydgp.records.recorded import RecordedSpace
from raydgp.space import ConfigSpace

_CHUNK = 32  # configurations built together and journalled together


def record(
    name: str,
    space: ConfigSpace,
    target: dict[str, Any],
    measurer: Measurer,
    path: Path,
    progress: Callable[[int, int], None],
) -> RecordedSpace:
    """Measures every valid configuration of a space and writes `path`; the journal beside it is removed at the end.

    Args:
        name: `<network>/<task>`.
        target: attributes of the target, for the journal's records.
        progress: called with (measured, of how many) after every chunk.

    Raises:
        JournalError: the journal cannot be written; what it holds already is kept for the next time.
    """
    journal_path = path.with_suffix(".jsonl")
    indices = np.flatnonzero(space.valid(np.arange(space.size)))
    done: dict[int, Measurement] = known(read(journal_path), space.hash)
    context = Context(
        task=name,
        workload=space.workload.to_dict(),
        target=target,
        space_hash=space.hash,
        strategy="record",
        seed=0,
        run=path.stem,
    )
    # In random order: a machine that grows slower over the minutes must not favour one region of the space.
    left = np.random.default_rng(0).permutation(np.setdiff1d(indices, list(done)))
    with Journal(journal_path) as journal:
        for start in range(0, len(left), _CHUNK):
            measured = measurer.measure(space, left[start : start + _CHUNK])
            journal.append(
                [
                    Record(context=context, trial=len(done) + place, knobs=space.decode(m.index), measurement=m)
                    for place, m in enumerate(measured)
                ]
            )
            done |= {m.index: m for m in measured}
            progress(len(done), len(indices))
    recorded = RecordedSpace.of(name, space, list(done.values()))
    recorded.save(path)
    journal_path.unlink()
    journal_path.with_name(journal_path.name + ".lock").unlink(missing_ok=True)
    return recorded
