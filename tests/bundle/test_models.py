"""Whole models of a CPU in a bundle: planned, made, measured where only numpy is, and merged."""

import json
import lzma
import subprocess
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from raydgp.app import bundled_models
from raydgp.app.bundles import merge_into_run
from raydgp.bundle import make as making
from raydgp.bundle.planned_models import given_arrays
from raydgp.bundle.reading import Bundle
from raydgp.bundle.runner.sequence import Line
from raydgp.errors import InputError
from raydgp.records import RunFolder, Status
from raydgp.settings import BundleModel, BundleSettings, MeasureSettings, MergeSettings, TrackingSettings
from tests.support.bundles import run
from tests.support.fake_builders import OwnBuilders

MODEL = "tests.support.networks:words"
QUICK = MeasureSettings(min_repeat_ms=1, threads=1)


def plan(*models, target="llvm", **rest):
    return BundleSettings(target=target, models=[BundleModel(**model) for model in models], measure=QUICK, **rest)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model whose first kernel takes indices, which numpy's inputs cannot try alone, with a draw of the others."""
    settings = plan({"model": MODEL, "draws": 1})
    path = tmp_path_factory.mktemp("made") / "words.bundle"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "Builders", OwnBuilders)
        return making.make(settings, path, carry_runner=True, models=bundled_models.planned_models(settings))


def changed(path, out, **members):
    """The bundle with some of its JSON changed: a member's function of its content -> the new content."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            for part, change in members.items():
                if name.endswith(f"/{part}.json.xz"):
                    content = lzma.compress(json.dumps(change(json.loads(lzma.decompress(content)))).encode())
            new.writestr(name, content)
    return out


def model_lines(out):
    return [line for line in map(json.loads, out.read_text().splitlines()) if "model" in line]


def test_a_model_is_measured_from_the_bundle_alone_and_merged(made, bare_python, tmp_path):
    assert (made.models, made.failed) == (1, {})
    out = tmp_path / "r.jsonl"
    command = [bare_python, made.path, "--out", out, "--minutes", "2"]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr
    assert "model words: " in done.stderr
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    with Bundle(made.path) as bundle:
        (entry,), tasks = bundle.header.models, bundle.header.tasks
        sequence = bundle.sequence(entry)
    kinds = ["model" if "model" in line else "default" if line["place"] == 0 else "other" for line in lines[1:]]
    assert kinds == ["default"] * len(tasks) + ["model"] + ["other"] * (made.kernels - len(tasks))
    (line,) = model_lines(out)
    assert line["status"] == "ok", line["error"]
    assert len(line["times_s"]) == 3
    assert len(line["steps_s"]) == len(sequence.steps)
    assert all(t > 0 for t in line["times_s"] + line["steps_s"])
    alone = [kernel.name for kernel in sequence.kernels if kernel.task is None]
    assert any(name.startswith("take") for name in alone)  # it has integers
    assert len(alone) < len(sequence.kernels)

    settings = MergeSettings(out=tmp_path / "run", mlflow=TrackingSettings(enabled=False))
    merged = merge_into_run(made.path, [out], settings)
    (model,) = RunFolder(merged.folder).manifest.models
    assert model == merged.models[0]
    assert model.times_s == tuple(line["times_s"])
    assert sum(kernel.time_s for kernel in model.kernels) == pytest.approx(sum(line["steps_s"]))
    assert {kernel.task for kernel in model.kernels} == {task.name for task in tasks} | {""}
    calls = {entry.name: entry.count for entry in RunFolder(merged.folder).manifest.tasks}
    assert calls == {kernel.task: kernel.calls for kernel in model.kernels if kernel.task}

    again = plan({"model": MODEL, "run": merged.folder})
    planned = bundled_models.planned_models(again)
    best = {task.name: task.best.index for task in RunFolder(merged.folder).summary().tasks.values() if task.best}
    chosen = {f"words/{kernel.name}": kernel.index for kernel in planned.models[0].kernels if kernel.space}
    assert chosen == best
    assert planned.models[0].name == "words-run"


def test_a_step_on_the_wrong_array_is_found(made, tmp_path):
    """Each kernel is right alone; one reads another array of the same shape."""

    def mixed_up(sequence):
        values = sequence["values"]
        for step in reversed(sequence["steps"]):
            for place, number in enumerate(step["arguments"][: -step["outputs"]]):
                for other, value in enumerate(values):
                    shape, buffer = values[number]["shape"], values[number]["buffer"]
                    if value["shape"] == shape and value["buffer"] != buffer:
                        step["arguments"][place] = other
                        return sequence
        raise AssertionError("no two arrays are of one shape")

    path, out = changed(made.path, tmp_path / "x.bundle", sequence=mixed_up), tmp_path / "r.jsonl"
    assert run(path, out)[0] == 0
    (line,) = model_lines(out)
    assert line["status"] == "wrong_answer"
    assert line["error"].startswith("step ")
    assert line["times_s"] == []
    assert all(json.loads(each)["status"] == "ok" for each in out.read_text().splitlines()[1:] if '"task"' in each)


def test_what_cannot_be_loaded_costs_the_model_only_and_is_not_tried_again(made, tmp_path):
    def outside(sequence):
        sequence["values"][sequence["steps"][-1]["arguments"][0]]["offset"] = 1 << 50
        return sequence

    path, out = changed(made.path, tmp_path / "x.bundle", sequence=outside), tmp_path / "r.jsonl"
    assert run(path, out)[0] == 0
    (line,) = model_lines(out)
    assert line["status"] == "run_error"
    before = out.read_bytes()
    assert run(path, out)[0] == 0
    assert out.read_bytes() == before


def test_weights_are_made_anew_and_the_rest_is_carried():
    rng = np.random.default_rng(0)
    arrays: dict[int, NDArray[Any]] = {
        7: (0.5 + 3 * rng.standard_normal((300, 100))).astype(np.float32),
        2: np.arange(50_000),
        4: rng.standard_normal(100).astype(np.float32),
        5: np.triu(np.full((300, 300), -np.inf, np.float32), 1),
        6: rng.standard_normal((300, 200)).astype(np.float16),
    }
    said, blob, made = given_arrays(arrays)
    assert {each.value for each in said if each.at is None} == {7, 6}
    for anew in (7, 6):
        assert not np.array_equal(made[anew], arrays[anew])
        assert made[anew].mean() == pytest.approx(arrays[anew].mean(), abs=0.05)
        assert made[anew].std() == pytest.approx(arrays[anew].std(), rel=0.02)
    content = {
        "buffers": [],
        "values": [{"shape": arrays[n].shape, "dtype": arrays[n].dtype.name} if n in arrays else {} for n in range(8)],
        "given": [each.model_dump() for each in said],
        "kernels": [],
        "steps": [],
        "outputs": [],
    }
    for value, array in Line(content, blob, b"").given():
        np.testing.assert_array_equal(array, made[value])
        assert array.dtype == arrays[value].dtype


def test_a_kernel_that_was_not_built_is_the_reason_why_there_is_no_model(made, tmp_path):
    with Bundle(made.path) as bundle:
        header = bundle.header.model_dump(mode="json")
    error = "dense: build_timeout: no answer within 20 s, killed"
    header["models"][0] |= {"error": error, "sequence": "", "arrays": "", "expected": ""}
    path, out = tmp_path / "x.bundle", tmp_path / "r.jsonl"
    with zipfile.ZipFile(made.path) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, json.dumps(header) if name == "bundle.json" else old.read(name))
    assert run(path, out)[0] == 0
    assert not model_lines(out)
    settings = MergeSettings(out=tmp_path / "run", mlflow=TrackingSettings(enabled=False))
    (model,) = merge_into_run(path, [out], settings).models
    assert (model.status, model.error) == (Status.BUILD_ERROR, error)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([{}], r"models\.0: key 'model' is missing"),
        ([{"model": "resnet19"}], r"models\.0: .*did you mean 'resnet18'"),
        ([{"model": "absent.onnx"}], r"models\.0: absent\.onnx: no such file"),
        ([{"model": "resnet18", "run": "absent"}], r"models\.0: absent is not a run"),
    ],
)
def test_what_there_is_not_is_told_in_one_line(models, message, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        bundled_models.planned_models(plan(*models))
    assert "\n" not in str(caught.value)


def test_parts_that_tvm_does_not_compute_are_refused(monkeypatch):
    loaded = bundled_models.load

    def beside(*how, **more):
        note = "GridSample is computed by onnxruntime"
        return replace(loaded(*how, **more), beside={"raydgp.beside.1": b""}, notes=(note,))

    monkeypatch.setattr(bundled_models, "load", beside)
    with pytest.raises(InputError, match=r"models\.0: .*run beside TVM.*GridSample is computed by onnxruntime"):
        bundled_models.planned_models(plan({"model": MODEL}))
