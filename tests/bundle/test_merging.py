"""Results of a bundle as a run: its records, its whole spaces, and who reads them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

import raydgp
from raydgp.app.bundles import MergedRun, merge_into_run
from raydgp.bundle import make as making
from raydgp.bundle.models import Step, Value
from raydgp.bundle.planned_models import PlannedKernel, PlannedModel, PlannedModels
from raydgp.bundle.reading import Bundle
from raydgp.errors import InputError
from raydgp.records import Record, RunFolder
from raydgp.records.files import read_records
from raydgp.records.history import sorted_json
from raydgp.records.recorded import RecordedSpace
from raydgp.settings import MergeSettings, TrackingSettings
from raydgp.surrogates.sources import gather
from raydgp.templates.spaces import config_space
from raydgp.workloads import zoo
from tests.support.fake_builders import SMALL, FakeBuilders, plan

GPU = {"kind": "cuda", "name": "NVIDIA H100", "driver": "570.86", "arch": "sm_90"}
WINOGRAD = {"layer": "resnet18/rb4-conv2", "algorithm": "winograd", "grid": 12}
Line = dict[str, Any]


class SixthFails(FakeBuilders):
    def build(self, wanted: Any, *how: Any) -> Any:
        wanted = list(wanted)
        self.failing.add(wanted[5][1])
        return super().build(wanted, *how)


def model() -> PlannedModel:
    """Two calls of the first task's default."""
    space = config_space(next(t.workload for t in zoo.tasks("resnet18") if t.name == "rb4-sc"), "cuda/sm_90")
    step = Step(kernel=0, arguments=(0, 1, 2), outputs=1)
    return PlannedModel(
        name="my net",
        source="my net.onnx",
        digest="0123",
        buffers=[4],
        values=[Value(buffer=0, offset=0, shape=(1,), dtype="float32")] * 3,
        given=[],
        kernels=[PlannedKernel("conv", space, space.default)],
        steps=[step, step],
        outputs=[2],
        arrays=b"",
        expected=b"",
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two tasks timed both ways: 20 draws of which one cannot be built, and a whole grid by Winograd's algorithm."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "Builders", SixthFails)
        patch.setattr(FakeBuilders, "failing", set())
        tasks = plan({**SMALL, "draws": 20}, WINOGRAD, caches=["warm", "rotated"])
        path = tmp_path_factory.mktemp("made") / "gpu.bundle"
        making.make(tasks, path, carry_runner=False, models=PlannedModels(models=[model()]))
        yield path


def measured(bundle: Path) -> list[Line]:
    """A line for every kernel and state of the caches: k-th place takes k + 1 ms, rotated 10 more; place 2 is wrong."""
    lines = []
    with Bundle(bundle) as made:
        for number, task in enumerate(made.header.tasks):
            for place, kernel in enumerate(made.kernels(task)):
                for caches in ("warm", "rotated") if kernel.status == "ok" else ():
                    time_s = 1e-3 * (place + 1 + 10 * (caches == "rotated"))
                    answer = {"status": "ok", "times_s": [time_s] * 3, "error": ""}
                    wrong = {"status": "wrong_answer", "times_s": [], "error": "relative error 1"}
                    line: Line = {"task": number, "place": place, "index": kernel.index, "caches": caches}
                    line |= {"run_s": 0.1, "time_unix_s": 1e9 + place, "conditions": {"sm_mhz": 1980.0}}
                    lines.append(line | (wrong if place == 2 else answer))
    return lines


def write(bundle: Path, path: Path, lines: Sequence[Line], device: dict[str, str] = GPU, end: str = "") -> Path:
    with Bundle(bundle) as made:
        header = {"results": 1, "bundle": made.sha256, "device": device, "started_unix_s": 1e9}
    anchor = {"anchor": 0, "place": 0, "index": 3, "caches": "warm", "status": "ok", "times_s": [1.0], "error": ""}
    path.write_text("\n".join(map(json.dumps, [header, *lines, anchor])) + "\n" + end)
    return path


@pytest.fixture
def merged(bundle: Path, tmp_path: Path) -> Callable[..., MergedRun]:
    def merged(*results: Path, mlflow: bool = False) -> MergedRun:
        tracking = TrackingSettings(enabled=mlflow, uri=f"sqlite:///{tmp_path}/mlflow.db")
        return merge_into_run(bundle, results, MergeSettings(out=tmp_path / "run", mlflow=tracking))

    return merged


def warm(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if not record.measurement.caches]


def test_the_records_are_what_was_measured(bundle: Path, merged: Callable[..., MergedRun], tmp_path: Path) -> None:
    lines = measured(bundle)
    halves = [write(bundle, tmp_path / f"{k}.jsonl", lines[k::2], end='{"task": 0, "pl') for k in range(2)]
    made = merged(*halves)
    records = RunFolder(made.folder).records()
    with Bundle(bundle) as opened:
        kernels = [kernel for task in opened.header.tasks for kernel in opened.kernels(task)]
    assert (made.kernels, made.measured, made.records) == (2 * len(kernels), len(lines), 2 * len(kernels))
    assert {record.measurement.index: record.measurement.status for record in warm(records)} == {
        kernel.index: "build_timeout" if kernel.status != "ok" else "wrong_answer" if place == 2 else "ok"
        for task in range(2)
        for place, kernel in enumerate(kernels[:21] if task == 0 else kernels[21:])
    }
    best = min((record for record in records if record.measurement.ok), key=lambda record: record.measurement.median_s)
    assert best.measurement.median_s == pytest.approx(1e-3)
    assert best.measurement.device == GPU
    assert best.measurement.conditions == {"sm_mhz": 1980.0}
    assert {record.measurement.caches for record in records} == {"", "rotated"}
    in_parquet = read_records(made.folder / "records.parquet")
    assert {sorted_json(record.to_dict()) for record in in_parquet} == {sorted_json(r.to_dict()) for r in records}


def test_reports_strategies_and_surrogates_read_it(
    bundle: Path, merged: Callable[..., MergedRun], tmp_path: Path
) -> None:
    made = merged(write(bundle, tmp_path / "r.jsonl", measured(bundle)))
    run = raydgp.Run.open(made.folder)
    assert list(run.best.index) == [
        f"resnet18/{name}{state}" for name in ("rb4-sc", "rb4-conv2-winograd") for state in ("", "-rotated")
    ]
    assert list(run.best["best_latency_us"]) == [1000.0, 11000.0] * 2
    tasks = gather([made.folder])
    assert [len(task.indices) for task in tasks] == [21, 21, *[len(t.indices) for t in tasks[2:]]]
    assert {task.space.template.split(".")[1] for task in tasks} == {"conv2d_nchw", "conv2d_nchw_winograd"}
    spaces = [RecordedSpace.load(path) for path in made.spaces]
    assert [space.name for space in spaces] == ["resnet18/rb4-conv2-winograd", "resnet18/rb4-conv2-winograd-rotated"]
    assert all(len(space.indices) == space.space.valid(range(space.space.size)).sum() <= 12 for space in spaces)
    assert merged(tmp_path / "r.jsonl").records == made.records  # again, as with more results


def test_a_grid_that_is_not_whole_is_no_space(bundle: Path, merged: Callable[..., MergedRun], tmp_path: Path) -> None:
    assert not merged(write(bundle, tmp_path / "r.jsonl", measured(bundle)[:-2])).spaces


def test_mlflow_has_a_run_for_each_task(bundle: Path, merged: Callable[..., MergedRun], tmp_path: Path) -> None:
    whole: Line = {
        "model": 0,
        "status": "ok",
        "error": "",
        "times_s": [0.003, 0.002, 0.004],
        "steps_s": [0.001, 0.0015],
    }
    whole |= {"conditions": {}, "time_unix_s": 1e9}
    made = merged(write(bundle, tmp_path / "r.jsonl", [*measured(bundle), whole]), mlflow=True)
    assert "mlflow.db" in made.note
    (found,) = made.models
    assert (found.name, found.source, found.median_s) == ("my net", "my net.onnx", 0.003)
    assert [share.model_dump() for share in found.kernels] == [
        {"name": "conv", "task": "resnet18/rb4-sc", "calls": 2, "time_s": 0.0025}
    ]
    assert raydgp.Run.open(made.folder).to_dict()["models"][0]["latency_ms"] == 3.0
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    (experiment,) = (each for each in client.search_experiments() if each.name != "Default")
    runs = client.search_runs([experiment.experiment_id])
    names = {run.info.run_name for run in runs}
    assert [run.data.metrics["model_latency_ms/my net"] for run in runs if run.info.run_name == "run"] == [3.0]
    assert "resnet18/rb4-sc-rotated bundle" in names
    assert len(names) == 5


def test_what_does_not_fit_is_one_line(bundle: Path, merged: Callable[..., MergedRun], tmp_path: Path) -> None:
    lines = measured(bundle)
    good = write(bundle, tmp_path / "good.jsonl", lines)
    other = write(bundle, tmp_path / "other.jsonl", lines, {**GPU, "name": "NVIDIA A100"})
    wrong = write(bundle, tmp_path / "wrong.jsonl", [{**lines[0], "index": lines[0]["index"] + 1}])
    empty = write(bundle, tmp_path / "empty.jsonl", [])
    broken = tmp_path / "broken.jsonl"
    broken.write_text(good.read_text().replace(json.dumps(lines[1]), "[1,"))
    strange = tmp_path / "strange.jsonl"
    strange.write_text(good.read_text().replace('"bundle": "', '"bundle": "0'))
    faults = {
        "other.jsonl: of another device": (good, other),
        "its kernels are not those of the results": (wrong,),
        "no kernel was measured": (empty,),
        "broken.jsonl, line 3: not a result": (broken,),
        "strange.jsonl: results of another bundle": (strange,),
        "absent.jsonl: No such file": (tmp_path / "absent.jsonl",),
    }
    for message, files in faults.items():
        with pytest.raises(InputError, match=message):
            merged(*files)
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    with pytest.raises(InputError, match="no run of a bundle; give another --out"):
        merged(good)
