"""Bad input at the command line: exit code 2, one line that names the remedy, nothing left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import tracked

TWO_SPACES = [f"history/znver4/mobilenet_v1-sp-{n}-dp1.parquet" for n in (3, 5)]
RAYDGP = [sys.executable, "-m", "raydgp"]


def raydgp(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RAYDGP, *arguments], cwd=cwd, capture_output=True, text=True, timeout=240)


BAD = {
    "no model": (["tune"], "'model' is missing"),
    "unknown model": (["tune", "--model", "resnet19"], "did you mean 'resnet18'"),
    "no such model file": (["tune", "absent.pt2"], "absent.pt2: no such file"),
    "nothing to inspect": (["inspect", "absent.onnx"], "absent.onnx: no such file"),
    "unknown network": (["tune", "resnet81"], "did you mean 'resnet18'"),
    "a model and a table": (["tune", "resnet18", "--model", "resnet18"], "not both"),
    "no time": (["tune", "resnet18", "--minutes", "0"], "'minutes'"),
    "no run to deploy": (["deploy", "absent"], "absent"),
    "unknown task": (["tune", "--model", "resnet18", "--tasks", "rb1-conv9"], "did you mean 'rb1-conv1'"),
    "no tasks": (["tune", "--model", "resnet18", "--tasks", ""], "name at least one"),
    "unknown strategy": (["tune", "--model", "resnet18", "--strategy", "autotwm"], "did you mean 'autotvm'"),
    "unknown target": (["tune", "--model", "resnet18", "--target", "rocm"], "'target'"),
    "negative trials": (["tune", "--model", "resnet18", "--trials", "-3"], "'trials'"),
    "no number": (["tune", "--model", "resnet18", "--trials", "many"], "many"),
    "unknown option": (["tune", "--modle", "resnet18"], "--modl"),
    "unknown command": (["tuen"], "tuen"),
    "unknown strategy to list": (["list", "strategies", "autotwm"], "did you mean 'autotvm'"),
    "several runs to report": (["report", "absent", "other"], "--html"),
    "no such file": (["tune", "--config", "absent.yaml"], "absent.yaml"),
    "no run": (["report", "absent"], "absent"),
    "no run to sync": (["sync", "absent"], "absent"),
    "nothing to learn from": (["pretrain", "absent"], "absent: no such file or folder"),
    "nothing to compare on": (["compare", "absent.parquet"], "absent.parquet: no such file"),
    "nothing to compare at all": (["compare"], "give either RECORDED spaces, or models"),
    "baseline left out": (["compare", TWO_SPACES[0], "--strategies", "random"], "or change --baseline"),
    "a knob that is none": (
        ["history", "record", "--model", "resnet18", "--task", "rb3-sc", "--fix", "tile=1", "--out", "x.parquet"],
        "cannot fix 'tile=1'",
    ),
    "nothing to import": (["history", "import", "absent", "--device", "A", "--out", "x"], "absent: No such file"),
    "dead MLflow": (["tune", "--model", "resnet18", "--mlflow-uri", "http://127.0.0.1:9"], "mlflow.enabled"),
}


@pytest.mark.parametrize(("arguments", "names"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line(arguments: list[str], names: str, tmp_path: Path) -> None:
    answer = raydgp(*arguments, cwd=tmp_path)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr.startswith("raydgp: ")
    assert answer.stderr.count("\n") == 1
    assert names in answer.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("model: [resnet18", "line 1"),
        ("- resnet18", "mapping"),
        ("model: resnet18\nmeasure: {numbre: 3}\n", "did you mean 'number'"),
        ("model: resnet18\noptions: {plan: 64}\n", "plan"),
        ("model: resnet18\ntrials: 0\n", "'trials'"),
    ],
)
def test_a_bad_file_is_named_with_the_key(text: str, names: str, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    answer = raydgp("tune", "--config", "bad.yaml", cwd=tmp_path)
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    assert names in answer.stderr


def test_the_doctor_finds_what_the_main_job_needs(tmp_path: Path) -> None:
    answer = raydgp("doctor", "--json", cwd=tmp_path)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    findings = {finding["what"]: finding for finding in json.loads(answer.stdout)}
    assert findings["TVM"]["state"] == "ok"
    assert "GFLOPS" in findings["TVM"]["detail"]
    assert all(finding["remedy"] for finding in findings.values() if finding["state"] != "ok")


def test_pretrain_learns_and_registers_what_was_recorded(tmp_path: Path) -> None:
    """On two layers of the recorded spaces that come with the package."""
    answer = raydgp("pretrain", *TWO_SPACES, "--epochs", "1", "--no-evaluate", "--json", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    made = [Path(entry["folder"]) for entry in json.loads(answer.stdout)]
    assert [folder.name for folder in made] == [
        "depthwise_conv2d_3x3_s1x1-llvm.depthwise_conv2d_nchwc.v1",
        "llvm.depthwise_conv2d_nchwc.v1",
    ]
    assert {file.name for file in (tmp_path / made[0]).iterdir()} == {"card.json", "weights.pt"}
    card = json.loads((tmp_path / made[1] / "card.json").read_text())
    assert (card["kind"], card["tasks"], card["device"]) == ("trees", 2, ["AMD EPYC"])
    assert card["held_out"] == {"by": "none", "spearman": None, "ndcg": None}
    assert (tmp_path / "mlflow.db").exists()


@pytest.mark.slow
def test_strategies_are_compared_with_models_of_the_other_spaces(tmp_path: Path) -> None:
    options = ["--strategies", "random,dgp+", "--baseline", "random", "--seeds", "1", "--trials", "24"]
    (tmp_path / "quick.yaml").write_text("epochs: 1\n")
    answer = raydgp("compare", *TWO_SPACES, "--config", "quick.yaml", *options, "--json", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert [row["strategy"] for row in json.loads(answer.stdout)] == ["random", "dgp+"]


def test_an_autotvm_log_becomes_records(tmp_path: Path) -> None:
    knobs = {"tile_f": [-1, 16, 32, 1], "tile_y": [-1, 1, 7, 1], "tile_x": [-1, 1, 1, 1]}
    entity = [*([name, "sp", value] for name, value in knobs.items()), ["auto_unroll_max_step", "ot", 0]]
    arrays = [["TENSOR", [1, 512, 14, 14], "float32"], ["TENSOR", [512, 1, 3, 3], "float32"]]
    line = {
        "input": ["cuda", "depthwise_conv2d_nchw.cuda", [*arrays, [2, 2], [1, 1, 1, 1], [1, 1], "float32"], {}],
        "config": {"index": 484, "code_hash": None, "entity": [*entity, ["unroll_explicit", "ot", 0]]},
        "result": [[1e-4], 0, 2.5, 1598686547.25],
        "version": 0.2,
        "tvm_version": "0.8.0",
    }
    (tmp_path / "log.json").write_text(json.dumps(line) + "\nbroken\n")
    command = ["history", "import", "log.json", "--device", "V100", "--out", "new/records.parquet"]
    done = raydgp(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "log.json: 1 records; 1 left out: not a record of an AutoTVM log, version 0.2 (line 2)" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 records. Results: new/records.parquet"
    assert json.loads(raydgp(*command, "--json", cwd=tmp_path).stdout)["records"] == 1
    (tmp_path / "log.json").write_text("broken\n")
    done = raydgp(*command, cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def test_a_run_is_compacted_and_reports_as_before(tmp_path: Path) -> None:
    tracked.write_run(tmp_path / "runs" / "night", "sqlite:///mlflow.db", n=40)
    before = raydgp("report", "night", "--json", cwd=tmp_path).stdout
    done = raydgp("history", "compact", "night", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "runs/night: 80 lines packed, " in done.stdout
    assert raydgp("report", "night", "--json", cwd=tmp_path).stdout == before
    assert json.loads(raydgp("history", "compact", "night", "--json", cwd=tmp_path).stdout)["runs/night"]["lines"] == 0


def test_no_command_is_a_question_for_help(tmp_path: Path) -> None:
    answer = raydgp(cwd=tmp_path)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith("Usage: raydgp")


def test_a_pickled_model_is_told_how_to_be_exported(tmp_path: Path) -> None:
    answer = raydgp("tune", "resnet.pt", cwd=tmp_path)
    assert answer.returncode == 2
    assert "torch.export.save" in answer.stderr
    assert "'resnet.pt2'" in answer.stderr


def test_a_presets_options_are_checked(tmp_path: Path) -> None:
    answer = raydgp("tune", "--model", "resnet18", "--preset", "smal", cwd=tmp_path)
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    assert "did you mean 'small'" in answer.stderr
