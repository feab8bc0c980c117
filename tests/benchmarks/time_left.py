"""`python -m tests.benchmarks.time_left RUN ...`: how wrong the time left was, when so much of a run was measured.

Replays journals by the times that they hold. The error is what the run said minus what it took from there, as a share
of what the whole run took. A run that was given minutes knows how many are left, as `raydgp tune` does; the others go
by the rate of their measurements.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from raydgp.app.observer import RunProgress
from raydgp.records import RunFolder
from raydgp.records.summary import RunSummary

_SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
_LEAST = 20  # records


def errors(run: RunFolder) -> list[float]:
    """At each of the shares; not a number where nothing was said, or of a run that nothing can be told by."""
    manifest, records = run.manifest, sorted(run.records(), key=lambda record: record.measurement.time_unix_s)
    if len(records) < _LEAST:
        return [np.nan] * len(_SHARES)
    first = records[0].measurement
    began_s = first.time_unix_s - first.phases.build_s - first.phases.run_s
    took_s = records[-1].measurement.time_unix_s - began_s
    now_s, summary, out = 0.0, RunSummary(manifest.tasks, machine=manifest.machine), []
    minutes, spent_s = run.settings.minutes, manifest.spent_s
    allowed_s = 60 * minutes - (spent_s - took_s) if minutes and spent_s else None  # at the first record
    total = None if allowed_s else len(records)
    progress = RunProgress(summary, total, allowed_s, clock=lambda: now_s)
    looks = {int(share * len(records)) for share in _SHARES}
    for count, record in enumerate(records, 1):
        summary.add(record)
        now_s = record.measurement.time_unix_s - began_s
        if count in looks:
            left_s = progress.left_s
            out.append((left_s - (took_s - now_s)) / took_s if left_s is not None else np.nan)
    return out


def main(folders: list[Path]) -> None:
    found = [errors(RunFolder(folder)) for folder in folders]
    print("measured  " + " ".join(f"{share:>7.0%}" for share in _SHARES))
    for folder, row in zip(folders, found, strict=True):
        print(f"{folder.name[-9:]:9} " + " ".join(f"{error:+7.0%}" for error in row))
    print("median |.|" + " ".join(f"{error:7.0%}" for error in np.nanmedian(np.abs(found), axis=0)))


if __name__ == "__main__":
    main([Path(given) for given in sys.argv[1:]])
