"""The recorder: the one process of a run that writes its journal."""

from __future__ import annotations

from pathlib import Path

from raydgp.records import Journal, Record


class Recorder:
    """Owns the run's journal; lives on the driver's node, whose disk the run's folder is on."""

    def __init__(self) -> None:
        self._journal: Journal | None = None

    def open(self, path: str) -> None:
        """Opens the journal.

        Raises:
            JournalError: another writer holds it, or the path cannot be written.
        """
        self._journal = Journal(Path(path))

    def append(self, records: list[Record]) -> None:
        """Writes records for good.

        Raises:
            JournalError: none of them was written.
        """
        assert self._journal
        self._journal.append(records)

    def close(self) -> None:
        """Gives the journal's lock back."""
        if self._journal:
            self._journal.close()
        self._journal = None
