"""A run for a GPU made into a folder, without one: what would be measured is told, all the rest is real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.s_tir.meta_schedule.database import JSONDatabase

from raydgp.app.deploy import Deployment, Tools, deploy_run
from raydgp.app.observer import SilentObserver
from raydgp.build.cuda.compiler import compiler_for
from raydgp.build.cuda.executable import compile_executable
from raydgp.errors import InputError
from raydgp.models import databases
from raydgp.models.folder import Library
from raydgp.models.importing import load
from raydgp.models.interchange import EXAMPLE, MODULE
from raydgp.models.lowering import lower
from raydgp.records import Measurement, Status
from raydgp.rivals.latency import Latency
from raydgp.space import ConfigSpace, Indices
from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm
from tests.support.deployable import write_run
from tests.support.networks import MODEL

CUDA = Target.named("cuda/sm_90")
GPU = {"kind": "cuda", "name": "a GPU", "driver": "1", "arch": "sm_90"}


class Measurer:
    """In place of the GPU: all configurations run, in the same time."""

    def __init__(self, target: Target, settings: Any) -> None:
        assert (target, settings.threads) == (CUDA, None)

    def __enter__(self) -> Measurer:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def measure(self, space: ConfigSpace, indices: Indices) -> list[Measurement]:
        return [Measurement(index=int(index), status=Status.OK, times_s=(1e-5,)) for index in np.asarray(indices)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("ship")
    (here / "nets.py").write_text(MODEL % 0)
    before = Path.cwd()
    os.chdir(here)
    sys.modules.pop("nets", None)  # of another test
    try:
        write_run(here, CUDA, GPU)
    finally:
        os.chdir(before)
    return here


@pytest.fixture
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("raydgp.targets.cuda.CUDA.here", lambda: CUDA)
    sys.modules.pop("nets", None)
    return folder


def shipped(folder: Path, *rivals: str, **replaced: Any) -> Deployment:
    tools = Tools(**replaced)
    return deploy_run(folder / "runs" / "r", folder / "out", rivals, 20, SilentObserver(), tools)


def test_a_model_for_a_gpu_is_shipped(inside: Path) -> None:
    try:
        compiler_for("sm_90")
    except InputError as error:
        pytest.skip(str(error))
    asked: dict[str, Sequence[str]] = {}

    def measure(ways: Mapping[str, Sequence[str]], runs: int, threads: int, on_calls: Callable[..., None]) -> Any:
        asked.update(ways)
        assert threads == 1
        return {name: Latency.of([1e-3] * 3, 0.0) for name in ways}

    out = shipped(inside, "torch", "onnxruntime", "untuned", measurer=Measurer, latencies=measure).folder

    torch = ["torch eager", "torch channels_last", "torch compiled"]
    assert list(asked) == ["raydgp", "defaults", *torch, "onnxruntime", "untuned"]
    assert {kind for _, _, kind in asked.values()} == {"cuda"}
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["target"], manifest["threads"], manifest["device"]) == (CUDA.to_dict(), 1, GPU)
    library = (out / "model.so").read_bytes()
    tasks = lower(load("nets:small").module, CUDA).tasks
    assert all(f"{task.name}_kernel".encode() in library for task in tasks if task.workload.op == "kernel")
    assert library.count(b"\x7fELF") == 2  # itself and one cubin
    for example in ("example.py", EXAMPLE):
        code = (out / example).read_text()
        compile(code, example, "exec")
        assert 'device = tvm.device("cuda")' in code
        assert "tvm.cpu()" not in code
    if not tvm.device("cuda").exist:
        with pytest.raises(InputError, match=r"^the model is for an NVIDIA GPU, and there is none here"):
            Library(out)

    with to_tvm(CUDA), JSONDatabase(work_dir=str(out)):
        module = relax.transform.MetaScheduleApplyDatabase()(tvm.ir.load_json((out / MODULE).read_text()))
    kernels = [function for function in module.functions.values() if isinstance(function, tvm.tirx.PrimFunc)]
    assert len(kernels) == len(tasks)
    assert all("tirx.is_scheduled" in function.attrs for function in kernels)
    assert "__global__" in compile_executable(module, CUDA).source
    found = databases.scan(out, "a GPU")
    assert len(found.records) + len(found.quarantined) == len(tasks)
    assert all(record.context.target == CUDA for record in found.records)


def test_what_the_gpu_cannot_is_told_in_a_line(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="rival 'metaschedule' is compared with on CPUs only"):
        shipped(inside, "metaschedule")
    monkeypatch.setattr("raydgp.targets.cuda.CUDA.here", lambda: Target.named("cuda/sm_80"))
    with pytest.raises(InputError, match="for a GPU of sm_90, and here is one of sm_80"):
        shipped(inside)
    monkeypatch.undo()
    if not tvm.device("cuda").exist:
        with pytest.raises(InputError, match="no NVIDIA GPU here"):
            shipped(inside)


@pytest.mark.gpu
@pytest.mark.cluster
@pytest.mark.skipif(not tvm.device("cuda").exist, reason="no GPU here")
def test_on_a_gpu_a_model_is_tuned_deployed_and_run(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(MODEL % 0)

    def raydgp(*arguments: str) -> str:
        command = [sys.executable, "-m", "raydgp", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr
        return done.stdout

    raydgp("tune", "nets:small", "--target", "cuda", "--strategy", "random", "--trials", "8", "--run", "small")
    manifest = json.loads(raydgp("deploy", "runs/small", "--compare", "torch,untuned", "--runs", "20", "--json"))
    assert manifest["latency"]["error"] < 1e-3
    assert manifest["others"]["defaults"]["error"] < 1e-3
    assert manifest["others"]["untuned"]["median_ms"] > 0
    for example in ("example.py", EXAMPLE):
        command = [sys.executable, "-P", str(tmp_path / "deployed" / "small" / example)]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert answer.returncode == 0, answer.stderr
        assert float(answer.stdout.split()[-1]) < 1e-3
