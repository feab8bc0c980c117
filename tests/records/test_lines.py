"""Lines of a journal by whoever wrote them: the quick way reads what the slow one does, and nothing raises."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raydgp.records import Context, Quarantined, Record, Resources, Status, scan
from raydgp.records.lines import Decoder, decode, encode
from raydgp.records.run import RunFolder
from raydgp.records.summary import RunSummary
from tests.support import journals

Make = Callable[..., Record]


def signed(data: dict[str, Any] | str) -> bytes:
    """A line with a right checksum, whatever it says."""
    body = (json.dumps(data, separators=(",", ":")) if isinstance(data, dict) else data).encode()[:-1]
    return body + b',"crc32":"%08x"}\n' % zlib.crc32(body)


def changed(record: Record, path: str, value: Any) -> bytes:
    data = json.loads(json.dumps(record.to_dict()))
    *sections, key = path.split(".")
    at = data
    for section in sections:
        at = at[section]
    at[key] = value
    return signed(data)


def each(path: str, *values: Any) -> list[tuple[str, Any]]:
    return [(path, value) for value in values]


IMPOSSIBLE: list[tuple[str, Any]] = [
    *each("measurement.index", "7", -1, 10**30, [1], 1.5, None, True, {}),
    *each("measurement.times_s", "fast", [None], ["a"], 3, {"a": 1}),
    *each("measurement.time_unix_s", "now", None, []),
    *each("measurement.phases", {"build_s": "long"}, {"other_s": 1.0}, [], None),
    *each("measurement.status", "splendid", 1, None),
    *each("measurement.device", "cpu", [], None),
    *each("measurement.versions", "1", 3),
    ("measurement.error", 5),
    ("measurement.conditions", {"clock": "high"}),
    ("measurement.resources", [{"kernel": "k", "registers": -1, "spill_bytes": 0, "shared_bytes": 0}]),
    ("measurement.resources", 4),
    ("measurement.colour", "red"),
    *each("trial", "0", -1, 10**30, None),
    *each("knobs", [], "a", None),
    *each("context.task", 3, None, []),
    ("context.seed", "x"),
    ("context.workload", "conv"),
    ("context.colour", "red"),
    *each("context.target", {}, {"kind": "abacus"}, {"kind": "llvm", "mcpu": {}}, 3, None),
    ("context", []),
    ("measurement", None),
    ("colour", "red"),
]


@pytest.mark.parametrize(("path", "value"), IMPOSSIBLE, ids=[f"{p}={v!r:.30}" for p, v in IMPOSSIBLE])
def test_impossible_contents_are_quarantined_with_line_and_reason(
    tmp_path: Path, make_record: Make, path: str, value: Any
) -> None:
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(encode(make_record(0)) + changed(make_record(1), path, value) + encode(make_record(2)))
    found = scan(journal)
    assert [record.measurement.index for record in found.records] == [0, 2]
    (quarantined,) = found.quarantined
    assert quarantined.line == 2
    assert quarantined.reason
    assert "\n" not in quarantined.reason


@pytest.mark.parametrize("where", ["knobs", "workload", "line"])
def test_nesting_a_thousand_deep_is_quarantined(tmp_path: Path, make_record: Make, where: str) -> None:
    text, deep = encode(make_record(1)).decode().rpartition(',"crc32"')[0] + "}", 5000 * "[" + 5000 * "]"
    if where == "knobs":
        text = text.replace('"knobs":{', f'"knobs":{{"deep":{deep},')
    elif where == "workload":
        text = text.replace('"workload":{', f'"workload":{{"deep":{deep},')
    else:
        text = 5000 * '{"a":' + "1" + 5000 * "}"
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(encode(make_record(0)) + signed(text) + encode(make_record(2)))
    found = scan(journal)
    assert [record.measurement.index for record in found.records] == [0, 2]
    assert [quarantined.line for quarantined in found.quarantined] == [2]


def test_of_journals_merged_after_a_torn_line_only_that_one_is_lost(tmp_path: Path, make_record: Make) -> None:
    torn, whole = encode(make_record(1)), encode(make_record(2))
    journal = tmp_path / "journal.jsonl"
    for cut in range(1, len(torn) - 1, 7):
        journal.write_bytes(encode(make_record(0)) + torn[:cut] + whole + encode(make_record(3)))
        found = scan(journal)
        assert [record.measurement.index for record in found.records] == [0, 2, 3]
        assert [quarantined.line for quarantined in found.quarantined] == [2]


def test_the_quick_way_reads_what_the_slow_one_does(make_record: Make) -> None:
    decoder = Decoder()
    used = Resources(kernel="k", registers=1, spill_bytes=0, shared_bytes=2)
    made = [
        make_record(0),
        make_record(2, resources=(used, used), conditions={"clock_mhz": 1.5}),
        make_record(3, status=Status.RUN_ERROR, device={"name": "a:b", "more": {"device": 1}}),
        make_record(4, task='odd ,"trial": ,"device": name'),
    ]
    for record in made:
        line = encode(record)
        read = decoder.decode(line)
        assert read
        assert read == record == Record.from_dict(json.loads(line[: line.rindex(b',"crc32"')] + b"}"))
        assert encode(read) == line
    again, once_more = (decoder.decode(encode(made[0])) for _ in range(2))
    assert again
    assert once_more
    assert again.context is once_more.context
    with pytest.raises(AttributeError):
        _ = again.colour


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=20), st.sets(st.sampled_from("abcd")))
def test_of_the_records_only_those_that_are_wanted_are_made(tasks: list[str], wanted: set[str]) -> None:
    """The odd one goes the slow way; damage is told whoever's it is."""
    lines = [encode(journals.record(place, task=task)) for place, task in enumerate(tasks)]
    lines.append(changed(journals.record(99, task="a"), "measurement.time_unix_s", float("inf")))
    lines.append(lines[0][:-4])
    asked: list[str] = []

    def is_wanted(context: Context) -> bool:
        asked.append(context.task)
        return context.task in wanted

    decoder = Decoder(is_wanted)
    found = [entry for line in lines for entry in decoder.entries(line, 1)]
    made = [entry.measurement.index for entry in found if isinstance(entry, Record)]
    assert made == [place for place, task in enumerate(tasks) if task in wanted] + [99] * ("a" in wanted)
    assert len(found) == len(made) + 1
    assert len(asked) <= len({*tasks, "a"}) + 1  # once a context, and by the slow way


_RECORD = journals.record(7)


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(1, 60))
def test_no_bytes_raise(data: bytes, at: int, length: int) -> None:
    line = encode(_RECORD)
    mixed = line[:at] + data + line[at + length : -len(b',"crc32":"00000000"}\n')] + b"}"
    decoder = Decoder()
    for line in (data, mixed, signed(mixed.decode("utf-8", "replace"))):
        assert all(isinstance(entry, Record | Quarantined) for entry in decoder.entries(line, 1))


def test_what_counts_survives_impossible_times(tmp_path: Path, make_record: Make) -> None:
    for time_unix_s in (float("inf"), float("nan"), -1.0, 1e300):
        record = decode(changed(make_record(0), "measurement.time_unix_s", time_unix_s))
        summary = RunSummary([], [record])
        assert summary.measured == 0
        assert record.measurement.time_ms == 0
    assert RunFolder(tmp_path).records() == []
