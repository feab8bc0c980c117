"""Compacted journals: the same lines for whoever reads them, wherever a compaction is interrupted."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raydgp.errors import InputError, JournalError
from raydgp.records import Context, Follower, Journal, Quarantined, Record, read, scan
from raydgp.records.lines import encode, goes_on, segments_before, segments_folder
from raydgp.records.segments import best, columns, segments
from tests.support import journals
from tests.support.small_run import SmallRun, asked, intercepted

CALLS = ("open", "write", "fsync", "ftruncate", "replace", "dup2")


def lines_of(numbers: range) -> list[bytes]:
    return [encode(journals.record(number, task="ab"[number % 2])) for number in numbers]


def stream(path: Path) -> list[bytes]:
    """All lines, by what the segments and the file say of themselves."""
    lines = path.read_bytes().splitlines(keepends=True)
    before = segments_before(lines[0]) if lines else 0
    return [line for segment in segments(path, before) for _, line in segment.read(0)] + lines[bool(before) :]


def compact(path: Path) -> int:
    with Journal(path) as journal:
        return journal.compact()


kinds = st.lists(st.sampled_from(["whole", "rubbish", "wrong sum", "two in one"]), max_size=6)


@settings(max_examples=25)
@given(parts=st.lists(kinds, min_size=1, max_size=4), torn=st.booleans(), wanted=st.sets(st.sampled_from("ab")))
def test_a_compacted_journal_reads_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[str]], torn: bool, wanted: set[str]
) -> None:
    plain, path = (tmp_path_factory.mktemp("journals") / "journal.jsonl" for _ in range(2))
    number = count()
    for part in parts:
        for kind in part:
            whole = encode(journals.record(next(number), task="ab"[len(kind) % 2]))
            line = {"rubbish": b"no JSON\n", "wrong sum": whole.replace(b'"trial":', b'"trial":1')}.get(kind, whole)
            for each in (plain, path):
                with each.open("ab") as file:
                    file.write(whole[:40] + whole if kind == "two in one" else line)
        if torn:
            with path.open("ab") as file:
                file.write(whole[:60] if part else b"")  # cut off by who compacts
        assert compact(path) == len(part)
    if plain.exists():
        assert scan(path) == scan(plain)
        assert stream(path) == plain.read_bytes().splitlines(keepends=True)

        def is_wanted(context: Context) -> bool:
            return context.task in wanted

        assert list(read(path, is_wanted)) == [record for record in read(plain) if record.context.task in wanted]
        assert list(read(plain, is_wanted)) == list(read(path, is_wanted))


def test_what_a_query_needs_is_in_columns(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"".join(lines_of(range(5))) + b"rubbish\n")
    assert compact(path) == 6
    assert path.read_bytes() == goes_on(1)
    table, records = columns(path), scan(path).records
    assert table["index"].to_pylist() == [*(record.measurement.index for record in records), None]
    assert table["median_s"].to_pylist() == [*(record.measurement.median_s for record in records), None]
    fastest = best(table, lambda context: context.task == "a", 2)
    assert fastest["index"].to_pylist() == [4, 2]  # the larger the faster, see `journals.record`
    assert best(table, lambda context: False, 2)["index"].to_pylist() == []
    assert table["context"].combine_chunks().dictionary_encode().dictionary.to_pylist()[0].startswith('{"task":"a"')


def test_a_follower_sees_each_line_once_whenever_the_journal_is_compacted(tmp_path: Path) -> None:
    lines = lines_of(range(4))
    for first in range(5):  # lines seen before the first compaction, and before the second
        for second in range(first, 5):
            path = tmp_path / f"{first}-{second}" / "journal.jsonl"
            path.parent.mkdir()
            path.write_bytes(b"".join(lines[:first]))
            follower, seen = Follower(path), list[Record | Quarantined]()
            for end in (second, 4, 4):
                seen += follower.poll()
                compact(path)
                with path.open("ab") as file:
                    file.write(b"".join(lines[len(stream(path)) : end]))
            seen += follower.poll()
            assert [entry.measurement.index for entry in seen if isinstance(entry, Record)] == [0, 1, 2, 3]


def test_who_reads_while_the_journal_is_compacted_misses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"".join(lines_of(range(3))))
    for _ in range(2):  # of a file that is replaced meanwhile, and of a segment to which another one comes
        reading = read(path)
        found = [next(reading)]
        compact(path)
        with Journal(path) as journal:
            journal.append([journals.record(3)])
        found += reading
        assert [record.measurement.index for record in found][:3] == [0, 1, 2]
    assert [record.measurement.index for record in read(path)] == [0, 1, 2, 3, 3]


def test_a_compaction_killed_at_any_call_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    lines = lines_of(range(6))
    for at in count(1):
        path = tmp_path / str(at) / "journal.jsonl"
        path.parent.mkdir()
        path.write_bytes(b"".join(lines[:2]))
        compact(path)
        with Journal(path) as journal:
            journal.append([journals.record(number, task="ab"[number % 2]) for number in (2, 3)])
        if (pid := os.fork()) == 0:
            _killed_at(path, at)
            os._exit(0)
        killed = os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        assert stream(path) == lines[:4]
        assert [record.measurement.index for record in read(path)] == [0, 1, 2, 3]
        with Journal(path) as journal:
            journal.append([journals.record(4)])
            journal.append([journals.record(5, task="b")])
        assert [record.measurement.index for record in read(path)] == [0, 1, 2, 3, 4, 5]
        compact(path)
        assert [record.measurement.index for record in read(path)] == [0, 1, 2, 3, 4, 5]
        if not killed:
            break
    assert at > 10


def _killed_at(path: Path, at: int) -> None:
    left = at

    def counted(system: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return system(*arguments, **named)

    with ExitStack() as stack:
        for name in CALLS:
            stack.enter_context(intercepted(name, counted))
        compact(path)


class Failing:
    """A system call of which one fails."""

    def __init__(self, at: int) -> None:
        self.at, self.calls = at, 0

    def __call__(self, system: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        self.calls += 1
        if self.calls == self.at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return system(*arguments, **named)


@pytest.mark.parametrize("name", CALLS)
def test_a_compaction_of_which_a_call_fails_loses_nothing(tmp_path: Path, name: str) -> None:
    counted = tmp_path / "counted.jsonl"
    counted.write_bytes(b"".join(lines_of(range(3))))
    with intercepted(name, counting := Failing(0)):
        compact(counted)
    assert counting.calls > 0
    for at in range(1, counting.calls + 1):
        path = tmp_path / str(at) / "journal.jsonl"
        path.parent.mkdir()
        path.write_bytes(b"".join(lines_of(range(3))))
        with intercepted(name, Failing(at)), pytest.raises(JournalError, match=os.strerror(errno.ENOSPC)):
            compact(path)
        for _ in range(2):
            assert [record.measurement.index for record in read(path)] == [0, 1, 2]
            compact(path)


def test_a_journal_whose_segments_are_gone_says_so(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"".join(lines_of(range(3))))
    compact(path)
    segments_folder(path).rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"000000.parquet: .* put a copy of it in its place"):
        scan(path)


def test_a_damaged_segment_is_named_and_never_read_as_something_else(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"".join(lines_of(range(3))))
    compact(path)
    (file,) = segments_folder(path).glob("*.parquet")
    whole, before = file.read_bytes(), scan(path).records
    refused: list[str] = []
    for at in range(0, len(whole), 17):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            found = scan(path)
        except InputError as error:
            refused.append(str(error))
        else:
            assert [record for record in before if record in found.records] == found.records
            assert len(found.records) + len(found.quarantined) <= 3
    assert len(refused) > 10
    assert all(said.startswith(f"{file}: a damaged segment") and "\n" not in said for said in refused)
    for cut in (0, 10, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:cut])
        with pytest.raises(InputError, match="damaged segment"):
            scan(path)


def test_a_run_resumes_from_a_compacted_journal_to_the_same(tmp_path: Path) -> None:
    whole, journal = tmp_path / "whole.jsonl", tmp_path / "journal.jsonl"
    SmallRun(whole)()
    for complete in (1, 5, 12):
        lines = whole.read_bytes().splitlines(keepends=True)
        path = tmp_path / str(complete) / journal.name
        path.parent.mkdir()
        path.write_bytes(b"".join(lines[:complete]))
        compact(path)
        SmallRun(path)()
        assert asked(path) == asked(whole)
        assert len(scan(path).records) == 12
