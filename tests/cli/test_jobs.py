"""What a Ray job makes of its options, before anything is started."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from raydgp.cli import jobs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """The command line that a job runs, given its options."""
    ran: list[list[str]] = []
    monkeypatch.setattr(jobs, "main", lambda: ran.append(list(sys.argv)))

    def run(job: str, *options: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", [f"jobs/{job}.py", *options])
        runpy.run_path(str(ROOT / "jobs" / f"{job}.py"), run_name="__main__")
        return ran.pop()

    return run


def test_what_a_job_adds(command: Callable[..., list[str]], tmp_path: Path) -> None:
    (tmp_path / "run.json").touch()
    database, run, out = f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path), str(tmp_path / "x")
    tuning = ["--runs-dir", run, "--no-mlflow-required", "--mlflow-uri", database]
    assert command("tune", "--runs-dir", run) == ["raydgp", "tune", *tuning]
    own = ["--runs-dir", run, "--mlflow-uri", "http://server", "--mlflow-required"]
    assert command("tune", *own) == ["raydgp", "tune", *own]
    assert command("pretrain", "znver4", "--out", out)[2:] == ["znver4", "--out", out, "--mlflow-uri", database]
    assert command("deploy", run, "--out", out)[1:] == ["deploy", run, "--out", out]
    assert command("compare", "znver4", "--out", out)[1:] == ["compare", "znver4", "--out", out]


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        (["tune", "--config", "quickstart"], "--runs-dir with an absolute path"),
        (["tune", "--runs-dir", "runs"], "--runs-dir with an absolute path"),
        (["pretrain", "znver4"], "--out with an absolute path"),
        (["compare", "znver4", "--out", "study.csv"], "--out with an absolute path"),
        (["deploy", "quickstart", "--out", "/deployed"], "RUN as the absolute path"),
        (["deploy", "/no/run", "--out", "/deployed"], "RUN as the absolute path"),
    ],
)
def test_results_that_would_be_thrown_away_are_refused(
    command: Callable[..., list[str]], capsys: pytest.CaptureFixture[str], options: list[str], missing: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        command(*options)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert missing in error


@pytest.mark.parametrize("name", ["tune", "cluster"])
def test_manifests_for_kubernetes_ask_for_a_token_mount_what_they_use_and_run_as_nobody_special(name: str) -> None:
    text = (ROOT / "configs" / "rayjob" / f"{name}.yaml").read_text()
    spec = yaml.safe_load(text)["spec"]
    cluster = spec.get("rayClusterSpec", spec)
    assert cluster["authOptions"] == {"mode": "token"}
    assert f"ray=={cluster['rayVersion']}" in (ROOT / "requirements.lock").read_text()
    (head,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    (mounted,) = (mount["mountPath"] for mount in head["volumeMounts"])
    assert f"--runs-dir {mounted}/" in text
    assert "/opt/raydgp/jobs/tune.py" in text
    assert "WORKDIR /opt/raydgp" in (ROOT / "Dockerfile").read_text()
    for group in cluster["workerGroupSpecs"]:
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        (worker,) = pod["containers"]
        if "nvidia.com/gpu" in worker["resources"]["limits"]:
            assert {"name": "RAY_worker_niceness", "value": "0"} in worker["env"]
