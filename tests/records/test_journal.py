import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from raydgp.errors import InputError
from raydgp.records import Context, Follower, Journal, Measurement, Phases, Quarantined, Record, Status, read, scan
from raydgp.records.journal import decode, encode
from raydgp.targets import Target

Make = Callable[..., Record]
any_float = st.floats(allow_nan=False, allow_infinity=True)


@given(
    times=st.lists(any_float, max_size=4),
    phases=st.tuples(any_float, any_float, any_float, any_float, any_float),
    unix=any_float,
    error=st.text(),
    index=st.integers(0, 2**62),
    status=st.sampled_from(Status),
)
def test_a_line_reads_back_exactly(
    times: list[float], phases: tuple[float, ...], unix: float, error: str, index: int, status: Status
) -> None:
    names = ("propose_s", "build_s", "queue_s", "run_s", "learn_s")
    measured = Measurement(
        index=index,
        status=status,
        times_s=tuple(times),
        phases=Phases(**dict(zip(names, phases, strict=True))),
        error=error,
        time_unix_s=unix,
    )
    context = Context(task="t", workload={}, target=Target.named("llvm"), space_hash="h", strategy="s", seed=0, run="r")
    record = Record(context=context, trial=1, knobs={"tile": [1, 2]}, measurement=measured)
    line = encode(record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line) == record


def test_a_timing_that_is_not_a_number_is_kept_as_such(make_record: Make) -> None:
    assert math.isnan(decode(encode(make_record(seconds=math.nan))).measurement.times_s[0])


def test_a_line_is_a_json_object(make_record: Make) -> None:
    data = json.loads(encode(make_record(7)))
    assert data["measurement"]["index"] == 7
    assert len(data["crc32"]) == 8


def test_what_is_appended_is_read_in_order_across_openings(tmp_path: Path, make_record: Make) -> None:
    path = tmp_path / "run" / "journal.jsonl"
    records = [make_record(i) for i in range(5)]
    with Journal(path) as journal:
        journal.append(records[:2])
        journal.append([])
        journal.append(records[2:4])
    with Journal(path) as journal:
        journal.append(records[4:])
    assert list(read(path)) == records
    assert scan(path).records == records
    assert not scan(path).torn


def test_an_append_is_one_write_and_one_fsync(
    tmp_path: Path, make_record: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    write, fsync = os.write, os.fsync
    with Journal(tmp_path / "journal.jsonl") as journal:
        monkeypatch.setattr(os, "write", lambda *a: (calls.append("write"), write(*a))[1])
        monkeypatch.setattr(os, "fsync", lambda *a: (calls.append("fsync"), fsync(*a))[1])
        journal.append([make_record(i) for i in range(16)])
    assert calls == ["write", "fsync"]


def test_no_journal(tmp_path: Path) -> None:
    assert list(read(tmp_path / "none")) == []
    with pytest.raises(InputError, match="no such journal"):
        scan(tmp_path / "none")


def test_damaged_lines_are_reported_with_their_number(tmp_path: Path, make_record: Make) -> None:
    path = tmp_path / "journal.jsonl"
    good = [encode(make_record(i)) for i in range(3)]
    foreign = replace(make_record(9), knobs={})
    wrong_sum = encode(foreign).replace(b'"trial":9', b'"trial":8')
    path.write_bytes(good[0] + b"not JSON\n" + good[1] + wrong_sum + good[2])
    result = scan(path)
    assert [r.measurement.index for r in result.records] == [0, 1, 2]
    assert [q.line for q in result.quarantined] == [2, 4]
    assert all("checksum" in q.reason for q in result.quarantined)


def test_a_sound_line_that_is_no_record_is_reported(tmp_path: Path, make_record: Make) -> None:
    record = make_record(1)
    structs.force_setattr(record.measurement, "status", "splendid")
    path = tmp_path / "journal.jsonl"
    path.write_bytes(encode(record))
    (entry,) = scan(path).quarantined
    assert entry.line == 1
    assert "splendid" in entry.reason


def test_journals_merge_with_cat(tmp_path: Path, make_record: Make) -> None:
    parts = [tmp_path / "a", tmp_path / "b"]
    for number, part in enumerate(parts):
        with Journal(part) as journal:
            journal.append([make_record(10 * number + i) for i in range(3)])
    merged = tmp_path / "merged"
    merged.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert [r.measurement.index for r in read(merged)] == [0, 1, 2, 10, 11, 12]


def test_the_follower_sees_each_complete_line_once(tmp_path: Path, make_record: Make) -> None:
    path = tmp_path / "journal.jsonl"
    follower = Follower(path)
    assert list(follower.poll()) == []
    lines = [encode(make_record(i)) for i in range(3)]
    stream = lines[0] + b"rubbish\n" + lines[1] + lines[2]
    seen: list[int | str] = []
    with path.open("ab", buffering=0) as file:
        for i in range(0, len(stream), 97):
            file.write(stream[i : i + 97])
            seen += [f"line {e.line}" if isinstance(e, Quarantined) else e.measurement.index for e in follower.poll()]
    assert seen == [0, "line 2", 1, 2]
