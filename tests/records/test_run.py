"""The folder of a run: read by one class, whatever state it is in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from raydgp.errors import InputError
from raydgp.records import Record, RunFolder, RunManifest, TaskEntry
from raydgp.records.history import FINALISTS, first
from raydgp.records.run import runs_in
from raydgp.targets import Target

Make = Callable[..., Record]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    entry = TaskEntry(
        name="conv0",
        workload={"op": "dense", "n": 1, "k": 64, "m": 32},
        count=1,
        group="dense",
        space_hash="a" * 16,
        space_size=100,
        default_index=0,
    )
    folder = RunFolder(tmp_path / "runs" / "r")
    folder.save(
        RunManifest(settings={}, tasks=[entry], target=Target.named("llvm"), device={}, versions={}, created_unix_s=0.0)
    )
    return folder


def again(record: Record) -> Record:
    """The record as deploying writes it."""
    return replace(record, context=replace(record.context, strategy=FINALISTS))


def test_a_run_without_a_journal_has_measured_nothing(run: RunFolder) -> None:
    assert (run.records(), run.finalists(), run.choice(), run.summary().measured) == ([], [], {}, 0)


def test_a_folder_that_is_not_there_is_no_run(tmp_path: Path) -> None:
    absent = RunFolder(tmp_path / "absent")
    assert not absent.exists
    with pytest.raises(InputError, match="is not a run"):
        _ = absent.manifest


def test_finalists_are_apart_from_what_the_search_measured(run: RunFolder, make_record: Make) -> None:
    slow, fast, repeated = make_record(0, 2e-3), make_record(1, 1e-3), make_record(1, 5e-3)
    with run.writer() as journal:
        journal.append(
            [
                slow,
                fast,
                repeated,
                again(slow),
                again(make_record(1, 3e-3, trial=0)),
                again(make_record(7, task="x", trial=0)),
            ]
        )
    assert run.records() == [slow, fast]
    assert [record.measurement.index for record in run.finalists()] == [0, 1]
    (choice,) = run.choice().values()
    assert choice.best == slow.measurement  # 2 ms against 3 ms
    assert run.summary().tasks["conv0"].best == fast.measurement
    assert [record.measurement.index for record in first(run.scan().records)] == [0, 1, 7]


def test_a_damaged_line_is_quarantined_and_logged(
    run: RunFolder, make_record: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with run.writer() as journal:
        journal.append([make_record(0), make_record(1)])
    run.journal.write_bytes(run.journal.read_bytes().replace(b'"trial":1', b'"trial":2'))
    assert [record.measurement.index for record in run.records()] == [0]
    assert f"{run.journal}: line 2 is quarantined: bad checksum" in caplog.text


def test_the_manifest_is_read_again_when_asked(run: RunFolder) -> None:
    other = RunFolder(run.path)
    assert other.manifest.spent_s == 0.0
    run.save(run.manifest.model_copy(update={"spent_s": 7.0}))
    assert other.manifest.spent_s == 0.0
    other.reload()
    assert other.manifest.spent_s == 7.0


def test_the_runs_of_a_folder_are_those_with_a_manifest_that_can_be_read(run: RunFolder) -> None:
    (run.path.parent / "broken").mkdir()
    (run.path.parent / "broken" / "run.json").write_text("{")
    (run.path.parent / "empty").mkdir()
    assert [found.name for found in runs_in(run.path.parent)] == ["r"]
