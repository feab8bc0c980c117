"""Live comparisons: which runs they are, what is read off them, and that a finished one starts nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from raydgp import config_space, zoo
from raydgp.app.compare import study
from raydgp.app.compare.outcomes import Searched, finalists, rows, winners
from raydgp.app.observer import SilentObserver
from raydgp.errors import InputError
from raydgp.records import Context, Journal, Measurement, Phases, Record, RunFolder, RunManifest, Status, TaskEntry
from raydgp.records.history import FINALISTS
from raydgp.rivals.latency import Latency
from raydgp.settings import CompareSettings, LiveSettings, TuneSettings
from raydgp.targets import Target

LAYER = next(task for task in zoo.tasks("resnet18") if task.count == 3)
SPACE = config_space(LAYER.workload, "llvm")
FLOPS = LAYER.workload.flops


def comparison(folder: Path, **live: object) -> CompareSettings:
    told = LiveSettings.model_validate(
        {"models": ["resnet18"], "tasks": {"resnet18": [LAYER.name]}, "folder": folder, "turns": 1} | live
    )
    strategies = {"random": {}, "bred": {"strategy": "genetic", "population": 4}}
    return CompareSettings(strategies=strategies, baseline="random", seeds=1, trials=3, batch=2, live=told)


def record(strategy: str, index: int, seconds: float, trial: int = 0) -> Record:
    context = Context(
        task=LAYER.name,
        workload=LAYER.workload.to_dict(),
        target=Target.named("llvm"),
        space_hash=SPACE.hash,
        strategy=strategy,
        seed=0,
        run="r",
    )
    ran = np.isfinite(seconds)
    measured = Measurement(
        index=index,
        status=Status.OK if ran else Status.RUN_ERROR,
        times_s=(seconds,) if ran else (),
        phases=Phases(propose_s=0.5, build_s=2.0, queue_s=9.0, run_s=1.0, learn_s=0.5),
    )
    return Record(context=context, trial=trial, knobs=SPACE.decode(index), measurement=measured)


def write_run(job: TuneSettings, seconds: Sequence[float]) -> None:
    RunManifest(
        settings=job.model_dump(mode="json"),
        tasks=[TaskEntry.of(LAYER.name, LAYER.count, SPACE)],
        target=Target.named("llvm"),
        device={},
        versions={},
        created_unix_s=0.0,
        finished_unix_s=1.0,
    ).save(job.run_dir)
    with RunFolder(job.run_dir).writer() as journal:
        journal.append([record(job.strategy, index, each, index) for index, each in enumerate(seconds)])


def write_finals(folder: Path, *records: Record) -> None:
    with Journal(folder / "finals" / "resnet18" / "journal.jsonl") as journal:
        journal.append(records)


def test_every_model_strategy_and_seed_is_a_run_with_a_folder_of_its_own(tmp_path: Path) -> None:
    settings = comparison(tmp_path, models=["resnet18", "zoo:alexnet"]).model_copy(update={"seeds": 2})
    jobs = study.runs_of(settings)
    assert len({job.runs_dir for job in jobs}) == len(jobs) == 2 * 2 * 2
    assert [job.seed for job in jobs] == [0] * 4 + [1] * 4
    assert {(job.model, job.strategy) for job in jobs} == {
        (model, strategy) for model in ("resnet18", "zoo:alexnet") for strategy in ("random", "genetic")
    }
    assert {str(job.options) for job in jobs if job.strategy == "genetic"} == {"{'population': 4}"}


@pytest.mark.parametrize(
    "live", [{"models": ["alexnet"]}, {"models": ["resnet18", "zoo:resnet18"]}], ids=["tasks of another", "one name"]
)
def test_a_study_that_cannot_be_told_apart_is_refused(tmp_path: Path, live: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"live\.(tasks|models)"):
        study.runs_of(comparison(tmp_path, **live))


def test_a_finished_study_is_read_off_its_folder(tmp_path: Path) -> None:
    settings = comparison(tmp_path)
    random, bred = study.runs_of(settings)
    write_run(random, [4e-3, np.inf, 2e-3])
    write_run(bred, [4e-3, 1e-3, 3e-3])
    again = [record(FINALISTS, 2, 2.5e-3), record(FINALISTS, 1, 1.25e-3)]
    write_finals(tmp_path, *again)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    table, whole = study.run_study(settings, SilentObserver())
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert whole.empty
    one, two = table.to_dict("records")
    assert (one["task"], one["calls"], one["strategy"]) == (f"resnet18/{LAYER.name}", 3, "random")
    assert (one["measurements_95"], one["seconds_95"]) == (np.inf, np.inf)
    assert (one["sampled"], one["failed"], two["failed"]) == (3, 1, 0)
    assert (two["measurements_99"], two["seconds_99"]) == (2, 8.0)  # waiting for a runner is no work
    assert (one["latency_s"], two["latency_s"]) == (2.5e-3, 1.25e-3)  # of the turns, not of the searches
    assert two["gflops"] == pytest.approx(FLOPS / 1.25e-3 / 1e9)
    assert (one["seconds"], one["build_s"], one["run_s"], one["thinking_s"]) == (12.0, 6.0, 3.0, 3.0)


def test_all_winners_are_measured_again_and_the_median_of_the_turns_counts(tmp_path: Path) -> None:
    jobs = study.runs_of(comparison(tmp_path).model_copy(update={"seeds": 2}))
    for job, seconds in zip(jobs, ([1e-3, 2e-3], [2e-3, 1e-3], [1e-3, 3e-3], [np.inf, np.inf]), strict=True):
        write_run(job, seconds)
    searches = [Searched(job.model, job.strategy, job.seed, RunFolder(job.run_dir)) for job in jobs]
    assert {task.name: indices for task, indices in winners(searches)["resnet18"].items()} == {LAYER.name: [0, 1]}
    turns = [record(FINALISTS, 0, seconds, turn) for turn, seconds in enumerate([1e-3, 9e-3, 2e-3, np.inf])]
    strange = replace(turns[0], context=replace(turns[0].context, strategy="random"))
    found = finalists("resnet18", [*turns, strange])
    assert found == {("resnet18", LAYER.name, 0): 2e-3}
    last = rows(searches, found).to_dict("records")[-1]
    assert (last["gflops"], last["latency_s"], last["measurements_95"]) == (0.0, np.inf, np.inf)


def test_a_run_that_goes_on_is_deployed_and_timed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = comparison(tmp_path, models=["zoo:resnet18"], tasks={})
    job, *_ = study.runs_of(settings)
    write_run(job, [1e-3])
    search = Searched(job.model, job.strategy, job.seed, RunFolder(job.run_dir))
    deployed: list[Path] = []
    timed: list[object] = []

    def deploy(run: Path, out: Path, *_: object) -> None:
        deployed.append(run)
        out.mkdir(parents=True, exist_ok=True)
        (out / "manifest.json").write_text("{}")

    def measure(ways: dict[str, object], calls: int, *_: object) -> dict[str, Latency]:
        timed.append(ways)
        return {name: Latency.of(np.linspace(1e-3, 2e-3, calls).tolist(), 0.0) for name in ways}

    monkeypatch.setattr(study, "deploy_run", deploy)
    monkeypatch.setattr(study, "measure", measure)
    for goes_on, count in ((False, 1), (False, 1), (True, 2)):
        if goes_on:
            search.run.save(search.run.manifest.model_copy(update={"finished_unix_s": time.time() + 1}))
        study.model_latencies(settings, [search], SilentObserver())
        assert (len(deployed), len(timed)) == (count, count)


def test_runners_time_layers_with_the_weights_of_the_largest_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = {"zoo:resnet18": 47.0, "zoo:vgg16": 550.0}

    def plan(job: TuneSettings, *_: object) -> tuple[TuneSettings, list[object]]:
        measure = job.measure.model_copy(update={"model_mb": weights[job.model]})
        return job.model_copy(update={"measure": measure}), []

    monkeypatch.setattr(study, "plan", plan)
    jobs = study.runs_of(comparison(tmp_path, models=list(weights), tasks={}))
    assert study.with_weights(jobs, SilentObserver()).measure.model_mb == 550.0
    tables = study.runs_of(comparison(tmp_path))
    assert study.with_weights(tables, SilentObserver()) == tables[0]
