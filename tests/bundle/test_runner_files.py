"""The runner's files: bundles that are damaged, results on a full disk, and the order of what is measured."""

import json
import resource
import zipfile

import pytest

from raydgp.bundle.runner.archive import Archive
from raydgp.bundle.runner.ordering import anchors, order
from raydgp.bundle.runner.results import Results
from raydgp.errors import InputError, JournalError
from tests.support.bundles import bundle, hostile_tasks, run

HEADER = {"bundle": "b", "device": {"name": "d"}, "caches": ["warm"]}


def line(place, status="ok", caches="warm"):
    return {"task": 0, "place": place, "caches": caches, "status": status, "times_s": [1e-3], "error": "x" * 200}


def test_defaults_come_first_and_tasks_take_turns():
    found = list(order([[0, 1, 2], [], [5, 6, 7, 8], [3]], [0, None, 6, 9]))
    assert found == [(0, 0), (2, 6), (0, 1), (2, 5), (3, 3), (0, 2), (2, 7), (2, 8)]


def test_anchors_are_spread():
    assert anchors([], 3) == []
    assert anchors([4], 3) == [4]
    assert anchors([1, 2, 3], 3) == [1, 2, 3]
    assert anchors(list(range(15)), 3) == [0, 7, 14]


def test_results_remember_what_is_done(tmp_path):
    first = Results(tmp_path / "r", HEADER)
    for each in (line(0), line(0, caches="rotated"), line(2, "run_error"), {**line(1), "anchor": 0}):
        each.pop("task") if "anchor" in each else None
        first.append(each)
    first.close()
    again = Results(tmp_path / "r", HEADER)
    assert again.done == {(0, 0, "warm"), (0, 0, "rotated"), (0, 2, "warm")}
    assert again.right == {0: [0]}
    again.close()


def test_a_full_disk_is_one_line_and_loses_nothing_before_it(tmp_path):
    results = Results(tmp_path / "r", HEADER)
    results.append(line(0))
    whole = (tmp_path / "r").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 100, limits[1]))
    try:
        with pytest.raises(JournalError, match="what is measured is kept"):
            results.append(line(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    results.close()
    assert len((tmp_path / "r").read_bytes()) == len(whole) + 100  # a torn line
    again = Results(tmp_path / "r", HEADER)
    again.append(line(1))
    again.close()
    assert [json.loads(text).get("place") for text in (tmp_path / "r").read_text().splitlines()] == [None, 0, 1]


def test_damaged_bundles_say_where(target, tmp_path):
    path = bundle(tmp_path / "x.bundle", hostile_tasks(["out[0] = right;"]), target)
    code = Archive(path).kernels(0)[0]["code"]
    assert Archive(path).code(code)
    content = path.read_bytes()

    def damaged(name, change):
        copy = tmp_path / "copy.bundle"
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
            for member in old.namelist():
                given = old.read(member)
                if member != name:
                    new.writestr(member, given)
                elif (changed := change(given)) is not None:
                    new.writestr(member, changed)
        return Archive(copy)

    for name, use in (
        ("blocks/0.xz", lambda found: found.code(code)),
        ("codes.jsonl.xz", lambda found: found.code(code)),
        ("tasks/0/kernels.jsonl.xz", lambda found: found.kernels(0)),
        ("tasks/0/expected.xz", lambda found: found.expected(0)),
        ("runtime/libtvm_ffi.so.xz", lambda found: found.runtime()),
    ):
        for change in (lambda given: given[:-30], lambda given: None, lambda given: b"nonsense"):
            with pytest.raises(InputError, match="damaged at " + name):
                use(damaged(name, change))
    with pytest.raises(InputError, match="format 9"):
        damaged("bundle.json", lambda given: given.replace(b'"format": 1', b'"format": 9'))
    at = content.index(b"\xfd7zXZ") + 40  # within the first block
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    with pytest.raises(InputError, match="damaged at blocks/0"):
        Archive(path).code(code)
    assert run(path, tmp_path / "r.jsonl")[0] == 2
    for rest in (b"", b"PK", content[: len(content) // 2]):
        path.write_bytes(rest)
        with pytest.raises(InputError, match="not a bundle, or cut short"):
            Archive(path)
    with pytest.raises(InputError, match="No such file"):
        Archive(tmp_path / "none")
    with pytest.raises(InputError, match="Is a directory"):
        Archive(tmp_path)
