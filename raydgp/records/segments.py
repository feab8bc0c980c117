"""Segments: the older lines of a journal as Parquet, a fraction of their size and read by columns.

Beside `journal.jsonl` they are in `journal.segments/`, in the order of their names. A segment holds what the journal
had when it was compacted, byte for byte and with every line's own checksum, so that the journal as a stream of lines is
what it was before: its segments, then its file. Each line's context, configuration, status, median and device are
columns besides: a query reads these alone, and makes records of the lines that it wants.

The first line of the journal's file says how many segments come before it (`lines.goes_on`). So a segment counts from
the moment when the file is replaced; what a compaction leaves that was killed before is written anew by the next.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raydgp.errors import InputError, JournalError, first_line
from raydgp.records.lines import Decoder, context_text, segments_before, segments_folder
from raydgp.records.record import Context, Record

COLUMNS = ("context", "index", "status", "median_s", "device")
_SIZE = b"raydgp.size"
_GROUP = 1 << 14  # lines that are read at a time
_WORD = pa.dictionary(pa.int32(), pa.string())
_SCHEMA = pa.schema(
    [
        ("context", _WORD),
        ("index", pa.int64()),
        ("status", _WORD),
        ("median_s", pa.float64()),
        ("device", _WORD),
        ("line", pa.binary()),
    ]
)


@dataclass(frozen=True)
class Segment:
    """One file of a journal's segments.

    Attributes:
        lines, size_bytes: that it holds, as they were in the journal.
    """

    path: Path
    lines: int
    size_bytes: int

    @classmethod
    def open(cls, path: Path) -> Segment:
        """Reads what a file says of itself.

        Raises:
            InputError: it is no segment, or damaged.
        """
        try:
            found = pq.read_metadata(path)
            size_bytes, checksum = found.metadata[_SIZE].split()
            if checksum != _checksum(found.num_rows, int(size_bytes)):
                raise ValueError("bad checksum")
            return cls(path, found.num_rows, int(size_bytes))
        except (OSError, pa.ArrowException, TypeError, KeyError, ValueError) as error:
            raise InputError(f"{path}: a damaged segment ({first_line(error)}); {_REMEDY}") from None

    def read(self, begin: int, wanted: Callable[[Context], bool] | None = None) -> Iterator[tuple[int, bytes]]:
        """Its lines from one on, with their places in it from 0.

        Args:
            wanted: whose lines; everyone's by default. Lines of which that is not known come, too.

        Raises:
            InputError: it is damaged.
        """
        try:
            with pq.ParquetFile(self.path, page_checksum_verification=True) as file:
                first, known = 0, dict[str | None, bool]()
                for group in range(file.num_row_groups):
                    count = file.metadata.row_group(group).num_rows
                    if first + count > begin:
                        rows = np.arange(max(begin - first, 0), count)
                        if wanted:
                            contexts = file.read_row_group(group, ["context"])["context"]
                            rows = rows[_of(contexts, wanted, known).to_numpy()[rows]]
                        if len(rows):
                            lines = file.read_row_group(group, ["line"])["line"]
                            wanted_lines = lines if len(rows) == count else lines.take(pa.array(rows))
                            yield from zip((first + rows).tolist(), wanted_lines.to_pylist(), strict=True)
                    first += count
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{self.path}: a damaged segment ({first_line(error)}); {_REMEDY}") from None


_REMEDY = "put a copy of it in its place, or move it away to go on without its measurements"


def segments(journal: Path, count: int) -> list[Segment]:
    """The first segments of a journal.

    Raises:
        InputError: one is damaged or not there.
    """
    return [Segment.open(_path(journal, number)) for number in range(count)]


def columns(journal: Path) -> pa.Table:
    """What the segments of a journal say by columns: `COLUMNS`, those of contexts and devices as JSON.

    Raises:
        InputError: there is no such journal, or one of its segments is damaged or not there.
    """
    tables = []
    try:
        with journal.open("rb") as file:
            count = segments_before(file.readline())
    except OSError as error:
        raise InputError(f"{journal}: {error.strerror}; give the journal of a run") from None
    for segment in segments(journal, count):
        try:
            tables.append(pq.read_table(segment.path, columns=list(COLUMNS), page_checksum_verification=True))
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{segment.path}: a damaged segment ({first_line(error)}); {_REMEDY}") from None
    return pa.concat_tables(tables) if tables else pa.schema([_SCHEMA.field(name) for name in COLUMNS]).empty_table()


def best(table: pa.Table, wanted: Callable[[Context], bool], count: int) -> pa.Table:
    """The fastest of some contexts' records, the fastest first.

    Args:
        table: of `columns`.
        wanted: whose.
        count: so many at most.
    """
    measured = table.filter(pc.and_(_of(table["context"], wanted, {}), pc.is_valid(table["median_s"])))
    return measured.take(pc.sort_indices(measured["median_s"])[:count])


def write(journal: Path, number: int) -> Segment:
    """Makes a segment of the lines of a journal's file, and reads it back.

    Args:
        number: of segments before it.

    Raises:
        OSError: it cannot be written.
        JournalError: it reads back as something else.
    """
    segments_folder(journal).mkdir(exist_ok=True)
    path = _path(journal, number)
    options: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True, "use_dictionary": list(COLUMNS)}
    decoder, count, size_bytes = Decoder(), 0, 0
    with pq.ParquetWriter(path, _SCHEMA, **options) as writer:
        for lines in _groups(journal):
            writer.write_table(_table(lines, decoder), row_group_size=_GROUP)
            count, size_bytes = count + len(lines), size_bytes + sum(map(len, lines))
        writer.add_key_value_metadata({_SIZE: b"%d %b" % (size_bytes, _checksum(count, size_bytes))})
    segment = Segment.open(path)
    written = (line for _, line in segment.read(0))
    same = all(line == next(written, None) for lines in _groups(journal) for line in lines)
    if not same or segment.lines != count:
        raise JournalError(f"{path}: reads back as something else than was written; the journal is as it was")
    for each in (path, path.parent, journal.parent):
        fd = os.open(each, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    return segment


def _path(journal: Path, number: int) -> Path:
    return segments_folder(journal) / f"{number:06d}.parquet"


def _checksum(lines: int, size_bytes: int) -> bytes:
    return b"%08x" % zlib.crc32(b"%d %d" % (lines, size_bytes))


def _groups(journal: Path) -> Iterator[list[bytes]]:
    """The lines of a journal's file, some at a time."""
    with journal.open("rb") as file:
        if not segments_before(file.readline()):
            file.seek(0)
        while lines := list(islice(file, _GROUP)):
            yield lines


def _table(lines: list[bytes], decoder: Decoder) -> pa.Table:
    """Their columns; what is no record has its line alone."""
    rows: list[tuple[Any, ...]] = []
    for line in lines:
        (entry, *more) = decoder.entries(line, 0)
        if more or not isinstance(entry, Record):
            rows.append((None,) * len(COLUMNS))
            continue
        measured = entry.measurement
        median_s = measured.median_s if measured.ok else None
        rows.append((context_text(line), measured.index, str(measured.status), median_s, json.dumps(measured.device)))
    arrays = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), _SCHEMA, strict=False)]
    return pa.Table.from_arrays([*arrays, pa.array(lines, pa.binary())], schema=_SCHEMA)


def _of(contexts: pa.ChunkedArray, wanted: Callable[[Context], bool], known: dict[str | None, bool]) -> pa.ChunkedArray:
    """Of which lines the context is wanted or not known: bool[lines].

    Args:
        known: of contexts that were asked for before.
    """
    chunks = []
    for words in contexts.unify_dictionaries().chunks:
        texts = [*words.dictionary.to_pylist(), None]
        for text in texts:
            if text not in known:
                known[text] = text is None or wanted(Context.from_dict(json.loads(text)))
        codes = words.indices.fill_null(len(texts) - 1).to_numpy()
        chunks.append(pa.array(np.array([known[text] for text in texts])[codes]))
    return pa.chunked_array(chunks, pa.bool_())
