"""`raydgp inspect`: what becomes of a model, told in seconds, and refused in a line where it would be wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from onnx.helper import make_node

from raydgp.app.inspect import BESIDE, FALLBACK, TEMPLATE, TRACED, Inspection, Kernel, Tensor, inspect
from raydgp.app.observer import SilentObserver
from raydgp.cli import group
from raydgp.cli.inspection import show
from raydgp.cli.shared import run_command
from raydgp.settings import ModelSettings
from tests.support import onnx_models
from tests.support.wrong_kernels import leave_out_relu


def command(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    with pytest.raises(SystemExit) as end:
        run_command(lambda: group(list(words), prog_name="raydgp", standalone_mode=False))
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def test_what_becomes_of_a_model_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = command(capsys, "inspect", onnx_models.beside(tmp_path), "--json")
    assert code == 0
    found = json.loads(out)
    assert found["inputs"] == [{"name": "x", "dtype": "float32", "shape": [1, 3, 5, 5]}]
    assert found["outputs"] == [{"name": "y", "dtype": "float32", "shape": [1, 8]}]
    by = {kernel["name"]: kernel["by"] for kernel in found["kernels"]}
    assert (by["conv3x3_3_16_5"], by["tir_tanh"], by["onnxruntime: Det"]) == (TEMPLATE, TRACED, BESIDE)
    shares = [kernel["share"] for kernel in found["kernels"] if kernel["share"] is not None]
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)
    assert 0 < found["error"] < 1e-5
    assert found["cut"][0]["operators"] == {"Det": 1}


def test_a_model_that_would_be_wrong_is_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_out_relu(monkeypatch)
    code, out, err = command(capsys, "inspect", onnx_models.beside(tmp_path))
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("raydgp: ")
    assert "the first kernel that computes something else than its definition is conv3x3_3_16_5" in err


def test_long_names_leave_the_numbers_their_room(capsys: pytest.CaptureFixture[str]) -> None:
    long = Kernel(f"fused_{'strided_slice_multiply_' * 9}", 12, 0.01, TRACED, 10**8)
    tensor = Tensor("x", "float32", (1, 3))
    show(Inspection("m.onnx", {}, [tensor], [tensor], {}, [long, replace(long, by=FALLBACK, share=None, size=None)]))
    _, _, title, *rows = capsys.readouterr().out.splitlines()
    assert title.split() == ["kernel", "calls", "arithmetic", "space", "tuned", "by"]
    assert [row.split()[1:] for row in rows] == [
        ["12", "1.0%", "100000000", "traced", "space"],
        ["12", "-", "-", "as", "TVM", "makes", "it"],
    ]
    assert max(map(len, rows)) <= 80


def test_where_no_gpu_is_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = inspect(ModelSettings(model=onnx_models.beside(tmp_path), target="cuda"), SilentObserver())
    if found.error is None:
        assert found.notes[-1].endswith("not run, for there is no NVIDIA GPU here")
    assert {kernel.by for kernel in found.kernels} >= {TEMPLATE, BESIDE}


def test_shapes_are_given_and_what_is_folded_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [
        make_node("Shape", ["x"], ["s"]),
        make_node("Reshape", ["x", "s"], ["r"]),
        make_node("TopK", ["r", "k"], ["y", "i"]),
    ]
    ends = {"x": (onnx_models.FLOAT, ["n", "m"])}, {"y": (onnx_models.FLOAT, None), "i": (7, None)}
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx_models.onnx_model(nodes, *ends, {"k": [2]}).SerializeToString())
    code, out, err = command(capsys, "inspect", str(path))
    assert (code, out) == (2, "")
    assert "--input x=1x1" in err
    code, out, _ = command(capsys, "inspect", str(path), "--input", "x=3x7")
    assert code == 0
    assert "folded: 1 Shape\n" in out
    assert FALLBACK in out
    assert "outputs: y float32 3x2, i int64 3x2" in out
