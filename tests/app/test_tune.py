"""What a run checks before it measures: that its folder is its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from raydgp import config_space, zoo
from raydgp.app import tune
from raydgp.app.observer import SilentObserver
from raydgp.app.run import Run
from raydgp.errors import InputError
from raydgp.records import Context, Measurement, Record, RunFolder, RunManifest, Status, TaskEntry
from raydgp.settings import TrackingSettings, TuneSettings
from raydgp.targets import Target

TASK = zoo.tasks("squeezenet_v1_1")[1]
SPACE = config_space(TASK.workload, "llvm")


def settings(runs: Path) -> TuneSettings:
    return TuneSettings(
        model="squeezenet_v1_1",
        tasks=[TASK.name],
        strategy="random",
        trials=1,
        run="r",
        runs_dir=runs,
        mlflow=TrackingSettings(enabled=False),
    )


def record(space_hash: str) -> Record:
    context = Context(
        task=TASK.name,
        workload=TASK.workload.to_dict(),
        target=Target.named("llvm"),
        space_hash=space_hash,
        strategy="random",
        seed=0,
        run="r",
    )
    measured = Measurement(index=SPACE.default, status=Status.OK, times_s=(1e-3,))
    return Record(context=context, trial=0, knobs=SPACE.decode(SPACE.default), measurement=measured)


def write_run(chosen: TuneSettings, *records: Record) -> None:
    entry = TaskEntry.of(TASK.name, TASK.count, SPACE)
    RunManifest(
        settings=chosen.model_dump(mode="json"),
        tasks=[entry],
        target=Target.named("llvm"),
        device={},
        versions={},
        created_unix_s=0.0,
    ).save(chosen.run_dir)
    with RunFolder(chosen.run_dir).writer() as journal:
        journal.append(records)


def run(chosen: TuneSettings) -> Run:
    return tune.tune(chosen, SilentObserver())


def test_a_finished_run_is_read_and_nothing_is_started(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    write_run(chosen, record(SPACE.hash))
    before = RunFolder(chosen.run_dir).journal.read_bytes()
    assert run(chosen).summary.tasks[TASK.name].measured == 1
    assert RunFolder(chosen.run_dir).journal.read_bytes() == before


def test_a_journal_of_another_space_is_refused_and_kept(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    write_run(chosen, record("0" * 16))
    before = RunFolder(chosen.run_dir).journal.read_bytes()
    with pytest.raises(InputError, match=r"another space.*--run"):
        run(chosen)
    assert RunFolder(chosen.run_dir).journal.read_bytes() == before


@pytest.mark.parametrize("change", [{"strategy": "grid"}, {"seed": 1}, {"batch": 4}])
def test_a_run_with_other_settings_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    chosen = settings(tmp_path)
    write_run(chosen, record(SPACE.hash))
    with pytest.raises(InputError, match=f"was made with {next(iter(change))}=.*--run"):
        run(chosen.model_copy(update=change))


def test_damaged_lines_are_told(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    write_run(chosen, record(SPACE.hash), replace(record(SPACE.hash), trial=1))
    journal = RunFolder(chosen.run_dir).journal
    journal.write_bytes(journal.read_bytes().replace(b'"trial":1', b'"trial":2'))
    assert "1 damaged lines left out (line 2)" in Run.open(chosen.run_dir).notes[0]
