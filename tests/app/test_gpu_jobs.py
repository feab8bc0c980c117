"""The jobs for a machine with a GPU: refused in one line without one, and tried out on this machine's CPU."""

import runpy
import sys
from pathlib import Path

import pandas as pd
import pytest

from raydgp.records.recorded import RecordedSpace

JOBS = Path(__file__).parents[2] / "jobs"


@pytest.fixture
def job(monkeypatch, capsys):
    """Runs a job as its command does: exit code, standard output and standard error."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.syspath_prepend(str(JOBS))

    def run(name, *options):
        monkeypatch.setattr(sys, "argv", [name, *options])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(JOBS / f"{name}.py"), run_name="__main__")
        return ended.value.code or 0, *capsys.readouterr()

    return run


@pytest.mark.parametrize("name", ["gpu_record", "gpu_compare"])
def test_without_a_gpu_a_job_ends_with_one_line(job, name):
    code, out, error = job(name)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert "no NVIDIA GPU here" in error


def test_torch_without_a_gpu_ends_with_one_line(job):
    code, out, error = job("gpu_torch")
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert "--device cpu" in error


@pytest.mark.slow  # torch compiles it twice
def test_torch_times_a_network_in_both_types(job, tmp_path):
    path = tmp_path / "t.csv"
    given = ["--device", "cpu", "--networks", "transformer_block", "--runs", "3", "--out", str(path)]
    code, _, error = job("gpu_torch", *given)
    assert code == 0, error
    table = pd.read_csv(path).set_index(["dtype", "way"])
    eager = table.xs("eager", level="way")
    assert (eager["median_ms"] > 0).all()
    assert eager["error"]["float32"] < 1e-6 < eager["error"]["float16"] < 1e-2
    assert {way for _, way in table.index} == {"eager", "channels_last", "compiled"}


def test_a_layer_is_recorded_and_left_alone_the_next_time(job, tmp_path):
    options = ["--target", "llvm", "--valid", "8", "--layers", "mobilenet_v1/sp-13-dp1", "--out", str(tmp_path)]
    code, out, error = job("gpu_record", *options)
    assert code == 0, error
    recorded = RecordedSpace.load(tmp_path / "mobilenet_v1-sp-13-dp1.parquet")
    assert (recorded.gflops > 0).any()
    assert f"{len(recorded.indices)} configurations" in out
    assert job("gpu_record", *options)[1] == f"Results: {tmp_path}\n"
