"""raydgp as a notebook uses it: layers and a live module, tuned, looked at, deployed and called; through Ray."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import raydgp
from raydgp.app.layers import name_of, tasks_of
from raydgp.errors import InputError
from raydgp.models.exporting import export_module
from raydgp.records import RunFolder

DENSE, CONV = raydgp.Dense(n=1, k=64, m=32), raydgp.Conv2d(n=1, ci=16, h=8, w=8, co=16, kh=3, kw=3, padding=(1, 1))
QUICK: dict[str, Any] = {"measure": {"repeat": 1, "min_repeat_ms": 1}}


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    return tmp_path


def small() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 64, 4)).eval()


@pytest.mark.slow
@pytest.mark.cluster
def test_layers_are_tuned_shown_and_resumed() -> None:
    layers = {"fc": DENSE, "conv": CONV}
    run = raydgp.tune(layers, strategy="random", trials=4, batch=2, run="mine", mlflow=False, **QUICK)
    assert list(run.best.index) == ["fc", "conv"]
    assert (run.best["best_gflops"] > 0).all()
    assert set(run.best["knobs"]["fc"]) == {knob.name for knob in raydgp.config_space(DENSE, "llvm").knobs}
    assert len(run.records) == 8
    assert run.records.groupby("task")["gflops"].max()["fc"] == pytest.approx(run.best["best_gflops"]["fc"], abs=1e-3)
    axes = run.plot()
    assert [line.get_label() for line in axes.lines] == ["fc", "conv"]
    assert "best_gflops" in run._repr_html_()
    journal = (run.folder / "journal.jsonl").read_bytes()
    again = raydgp.tune(layers, strategy="random", trials=4, batch=2, run="mine", mlflow=False, **QUICK)
    assert (run.folder / "journal.jsonl").read_bytes() == journal
    assert raydgp.Run.open("runs/mine").best.equals(again.best)
    assert json.loads(json.dumps(run.to_dict()))["unmeasured_tasks"] == []
    assert "starts on" in (run.folder / "log").read_text()
    with pytest.raises(InputError, match="a table of layers, not a model"):
        run.deploy()


@pytest.mark.slow  # the notebook of a user's own model does the same
@pytest.mark.cluster
def test_a_live_module_is_tuned_deployed_and_called(inside: Path) -> None:
    module, x = small(), torch.randn(1, 3, 8, 8)
    run = raydgp.tune(module, inputs=x, strategy="random", trials=2, batch=2, mlflow=False, **QUICK)
    library = run.deploy("out", runs=3)
    (out,) = library(x)
    np.testing.assert_allclose(out, module(x).detach(), rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(raydgp.load("out")(x.numpy())[0], out)
    assert library.manifest["latency"]["median_ms"] > 0
    assert {r.trial for r in RunFolder(run.folder).finalists()} == {0}
    assert len(run.records[run.records["strategy"] == "finalists"]) > 0
    with pytest.raises(InputError, match=r"the model takes float32\[1, 3, 8, 8\], not float32\[2, 3, 8, 8\]"):
        library(torch.randn(2, 3, 8, 8))


def test_a_module_is_exported_once_and_left_as_it_was(inside: Path) -> None:
    module, x = small().train(), torch.randn(1, 3, 8, 8)
    path = export_module(module, x, inside)
    assert module.training
    assert export_module(module, (x.numpy(),), inside) == path
    with torch.no_grad():
        next(module.parameters()).add_(1.0)
    assert export_module(module, x, inside) != path
    assert len(list(inside.iterdir())) == 2


def test_a_module_needs_its_inputs(inside: Path) -> None:
    with pytest.raises(InputError, match="needs example inputs"):
        raydgp.tune(small())
    assert not list(inside.iterdir())


@pytest.mark.parametrize(
    ("layers", "message"),
    [([], "at least one"), (["resnet18"], "is no workload"), ([1], "is no workload")],
)
def test_what_is_no_layer_is_refused(layers: list[object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        raydgp.tune(layers)


def test_equal_workloads_are_one_task() -> None:
    (dense, conv) = tasks_of([DENSE, CONV, DENSE])
    assert (dense.name, dense.count, conv.name, conv.count) == ("layer0", 2, "layer1", 1)
    assert name_of([dense]) == name_of(tasks_of([DENSE, DENSE]))
    assert name_of([dense]) != name_of([conv])
    assert tasks_of(raydgp.zoo.tasks("alexnet")) == raydgp.zoo.tasks("alexnet")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: raydgp.tune("resnet81"), "did you mean 'resnet18'"),
        (lambda: raydgp.tune({"fc": DENSE}, strategy="autotwm"), "did you mean 'autotvm'"),
        (lambda: raydgp.tune({"fc": DENSE}, minutes=0), "raydgp.tune: key 'minutes'"),
        (lambda: raydgp.deploy("runs/absent"), "is not a run"),
        (lambda: raydgp.load("absent"), "is no deployed model"),
        (lambda: raydgp.Run.open("absent"), "is not a run"),
    ],
)
def test_a_wrong_argument_is_one_line(call: Callable[[], object], message: str, inside: Path) -> None:
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
    assert not list(inside.iterdir())
