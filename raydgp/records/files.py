"""Records out of a file, whichever of our formats it has."""

from __future__ import annotations

from pathlib import Path

from raydgp.errors import MALFORMED, InputError, JournalError, first_line
from raydgp.records.frames import read_parquet
from raydgp.records.journal import read
from raydgp.records.record import Record


def read_records(file: Path) -> list[Record]:
    """Records of a journal or of the Parquet file of one.

    Raises:
        InputError: it is neither.
    """
    try:
        return list(read(file)) if file.suffix == ".jsonl" else read_parquet(file)
    except (OSError, JournalError, *MALFORMED) as error:
        raise InputError(f"{file}: neither a journal nor a Parquet file of records ({first_line(error)})") from None
