"""What a run checks before it measures: that its folder is its own."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.helper import make_node

from raydgp import config_space, zoo
from raydgp.app import tune
from raydgp.app.observer import SilentObserver
from raydgp.app.run import Run
from raydgp.app.tune.resuming import as_it_was, check_machine, records_so_far
from raydgp.errors import InputError, JournalError
from raydgp.models.sources import fingerprint
from raydgp.records import Context, Measurement, Record, RunFolder, RunManifest, Status, TaskEntry
from raydgp.records.history import Machine
from raydgp.settings import MeasureSettings, TrackingSettings, TuneSettings
from raydgp.targets import Target
from raydgp.tracking import check
from tests.support.onnx_models import FLOAT, onnx_model

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


def record(space_hash: str, device: dict[str, object] | None = None, seconds: float = 1e-3) -> Record:
    context = Context(
        task=TASK.name,
        workload=TASK.workload.to_dict(),
        target=Target.named("llvm"),
        space_hash=space_hash,
        strategy="random",
        seed=0,
        run="r",
    )
    measured = Measurement(index=SPACE.default, status=Status.OK, times_s=(seconds,), device=device or {})
    return Record(context=context, trial=0, knobs=SPACE.decode(SPACE.default), measurement=measured)


def write_run(chosen: TuneSettings, *records: Record, device: dict[str, object] | None = None) -> None:
    entry = TaskEntry.of(TASK.name, TASK.count, SPACE)
    RunManifest(
        settings=chosen.model_dump(mode="json"),
        tasks=[entry],
        target=Target.named("llvm"),
        device=device or {},
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


def test_a_finished_run_of_an_unchanged_model_does_not_import_it(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(b"a model")
    chosen = settings(tmp_path).model_copy(update={"model": str(file), "tasks": None})
    write_run(chosen, record(SPACE.hash))
    folder = RunFolder(chosen.run_dir)
    done = folder.manifest.model_copy(update={"finished_unix_s": 1.0, "source": fingerprint(str(file))})
    folder.save(done)
    assert run(chosen).summary.measured == 1
    measured = {**done.settings, "measure": {**done.settings["measure"], "model_mb": 4.5}}  # what planning has added
    folder.save(done.model_copy(update={"settings": measured}))
    assert as_it_was(chosen)
    assert not as_it_was(chosen.model_copy(update={"trials": 2}))
    assert not as_it_was(chosen.model_copy(update={"measure": MeasureSettings(repeat=5)}))
    file.write_bytes(b"another")
    assert not as_it_was(chosen)
    folder.save(done.model_copy(update={"finished_unix_s": None, "source": fingerprint(str(file))}))
    assert not as_it_was(chosen)
    assert fingerprint("package.module:function") is None


def test_a_model_whose_weights_are_in_another_file_is_another_when_they_change(tmp_path: Path) -> None:
    weights = {"w": np.ones((4, 4), "f")}
    model = onnx_model(
        [make_node("MatMul", ["x", "w"], ["y"])], {"x": (FLOAT, [1, 4])}, {"y": (FLOAT, [1, 4])}, weights
    )
    file, beside = tmp_path / "net.onnx", tmp_path / "net.data"
    onnx.save(model, file, save_as_external_data=True, location=beside.name, size_threshold=0)
    before = fingerprint(str(file))
    assert before == fingerprint(str(file)) is not None
    beside.write_bytes(bytes(64))
    assert fingerprint(str(file)) != before


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


CORES4 = {"kind": "llvm", "name": "cpu", "cores": 4, "threads": 4}


@pytest.mark.parametrize("change", [{"cores": 2}, {"threads": 1}, {"name": "another"}])
def test_what_another_machine_measured_is_never_best_nor_default(tmp_path: Path, change: dict[str, object]) -> None:
    chosen = settings(tmp_path)
    write_run(chosen, record(SPACE.hash, CORES4 | change, 1e-6), record(SPACE.hash, CORES4), device=CORES4)
    task = run(chosen).summary.tasks[TASK.name]
    assert (task.measured, task.latency_s, task.default_s) == (1, 1e-3, 1e-3)
    assert "1 measurements of other machines left out" in Run.open(chosen.run_dir).notes[0]


@pytest.mark.parametrize("manifest", [True, False])
def test_a_run_does_not_go_on_on_another_machine(tmp_path: Path, manifest: bool) -> None:
    chosen, target = settings(tmp_path), Target.named("llvm")
    write_run(chosen, record(SPACE.hash, CORES4), device=CORES4)
    if not manifest:
        (chosen.run_dir / "run.json").unlink()
    folder = RunFolder(chosen.run_dir)
    check_machine(folder, target, CORES4)
    with pytest.raises(InputError, match=r"with cores=4, threads=4, and here is cores=2, threads=2.*--run"):
        check_machine(folder, target, CORES4 | {"cores": 2, "threads": 2})
    with pytest.raises(InputError, match="was measured with target llvm"):
        check_machine(folder, Target.from_dict({"kind": "llvm", "mcpu": "haswell"}), CORES4)


def test_a_gpu_of_another_name_is_another_machine_and_one_with_a_new_driver_is_not() -> None:
    gpu = {"kind": "cuda", "name": "A100", "driver": "1", "arch": "sm_80"}
    machine = Machine(Target.named("cuda"), gpu)
    assert machine.unlike(gpu | {"driver": "2"}) == []
    assert machine.unlike(gpu | {"name": "A30"}) == ["name"]


def test_who_works_on_a_run_is_told_before_anything_is_written(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    with RunFolder(chosen.run_dir).claimed():
        before = sorted(path.name for path in chosen.run_dir.iterdir())
        with pytest.raises(JournalError, match=f"another process works on this run.*process {os.getpid()} on"):
            run(chosen)
        assert sorted(path.name for path in chosen.run_dir.iterdir()) == before
    write_run(chosen, record(SPACE.hash))
    with RunFolder(chosen.run_dir).writer(), pytest.raises(JournalError, match=f"process {os.getpid()} on"):
        run(chosen)
    assert run(chosen).summary.measured == 1


def test_a_folder_that_cannot_be_written_shows_its_finished_run_and_refuses_to_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(tmp_path).model_copy(update={"mlflow": TrackingSettings(uri=f"sqlite:///{tmp_path}/m.db")})
    write_run(chosen, record(SPACE.hash))
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert run(chosen).summary.measured == 1
    assert not (chosen.run_dir / "mlflow.log").exists()
    with pytest.raises(JournalError, match="give a folder that can be written with --runs-dir"):
        run(settings(Path("/proc/runs")))


def test_without_its_manifest_a_run_says_what_to_do(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    write_run(chosen, record(SPACE.hash))
    (chosen.run_dir / "run.json").unlink()
    with pytest.raises(InputError, match=r"run.json is gone; the `raydgp tune` command .* writes it anew"):
        Run.open(chosen.run_dir)
    assert [r.measurement.index for r in records_so_far(chosen, [TASK])] == [SPACE.default]
    with pytest.raises(InputError, match="was made with seed=0, not 1"):
        records_so_far(chosen.model_copy(update={"seed": 1}), [TASK])


def test_mlflow_that_does_not_answer_stops_no_finished_run_and_no_job(tmp_path: Path) -> None:
    with socket.socket() as reserved:  # bound, but nobody listens
        reserved.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        assert "cannot be reached" in check(uri, required=False)
        with pytest.raises(InputError, match=r"cannot be reached.*--no-mlflow-required.*raydgp sync"):
            run(settings(tmp_path).model_copy(update={"mlflow": TrackingSettings(uri=uri)}))
