"""A model with a part that runs beside TVM, from its run to the folder that runs it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raydgp
from raydgp.app.deploy import Deployment, deploy_run
from raydgp.app.observer import SilentObserver
from raydgp.models import beside
from raydgp.models.folder import Library
from raydgp.rivals.latency import Latency
from raydgp.targets import Target
from tests.support import onnx_models
from tests.support.deployable import write_run

SLOW_S = 0.05


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Deployed from a run written by hand."""
    here = tmp_path_factory.mktemp("beside")
    target = Target.here("llvm")
    model = onnx_models.beside(here)
    write_run(here, target, {**target.behaviour.device(target), "threads": 2}, model, mlflow=False)
    return deploy_run(here / "runs" / "r", here / "out", ("untuned",), 3, SilentObserver())


def test_every_way_to_run_it_is_right(result: Deployment) -> None:
    for name in ("raydgp", "defaults", "untuned"):
        latency = result.latencies[name]
        assert isinstance(latency, Latency), latency
        assert latency.error < 1e-4


def test_the_cut_is_said_and_in_the_manifest(result: Deployment) -> None:
    assert any("onnxruntime runs one operator (Det) in one part beside TVM" in note for note in result.notes)
    manifest = json.loads((result.folder / "manifest.json").read_text())
    (part,) = manifest["cut"]
    assert part["operators"] == {"Det": 1}
    assert (part["inputs"], part["outputs"]) == (["r"], ["d"])
    assert (result.folder / manifest["beside"][part["function"]]).is_file()


def test_it_is_loaded_and_runs_elsewhere(result: Deployment) -> None:
    library = raydgp.load(result.folder)
    (out,) = library(*library.inputs)
    np.testing.assert_allclose(out, library.expected[0], rtol=1e-4, atol=1e-6)
    hidden = (
        "import sys; sys.modules['raydgp'] = sys.modules['torch'] = None; import runpy; runpy.run_path(sys.argv[1])"
    )
    command = [sys.executable, "-P", "-c", hidden, str(result.folder / "example.py")]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
    assert float(answer.stdout.split("largest error: ")[1]) < 1e-5


def test_the_time_of_the_part_is_in_that_of_a_call(result: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    right = beside.runner

    def slow(model: bytes, threads: int) -> Any:
        run = right(model, threads)

        def later(*arguments: Any) -> Any:
            time.sleep(SLOW_S)
            return run(*arguments)

        return later

    monkeypatch.setattr(beside, "runner", slow)
    library = Library(result.folder)
    arguments = library.prepare(library.inputs)
    library.call(arguments)
    began = time.perf_counter()
    library.call(arguments)  # what raydgp.rivals.contender times
    assert time.perf_counter() - began >= SLOW_S


@pytest.mark.slow
@pytest.mark.cluster
def test_it_is_tuned_deployed_and_run_by_the_commands(tmp_path: Path) -> None:
    onnx_models.beside(tmp_path)
    tune = ["tune", "beside.onnx", "--trials", "2", "--run", "r", "--mlflow-uri", f"sqlite:///{tmp_path / 'm.db'}"]
    for words, said in ((tune, "beside TVM"), (["report", "r"], "beside TVM"), (["deploy", "r", "--runs", "3"], "Det")):
        command = [sys.executable, "-m", "raydgp", *words]
        answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert answer.returncode == 0, answer.stderr
        assert said in answer.stdout
    library = raydgp.load(tmp_path / "deployed" / "r")
    np.testing.assert_allclose(library(*library.inputs)[0], library.expected[0], rtol=1e-4, atol=1e-6)
