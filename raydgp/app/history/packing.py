"""Journals packed into segments."""

from __future__ import annotations

from pathlib import Path

from raydgp.records import RunFolder


def pack(run: Path) -> dict[str, int]:
    """Packs the journal of a run's folder: `lines` of it that were packed, and its `bytes_before` and `bytes`.

    Raises:
        InputError: it has none.
        JournalError: somebody else works on the run, or it cannot be written.
    """
    folder = RunFolder(run)
    before, lines = folder.size_bytes, folder.compact()
    return {"lines": lines, "bytes_before": before, "bytes": folder.size_bytes}
