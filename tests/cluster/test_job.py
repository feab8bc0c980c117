"""`ray job submit` against a head on loopback: a run, found measured the next time, and a comparison."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from raydgp.records import read

TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
ROOT = Path(__file__).parents[2]
RAY = [sys.executable, "-m", "ray.scripts.scripts"]
TRIALS = 6


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError:  # it asks for a token, so it is there
        return True
    except OSError:
        return False
    return True


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[str]:
    port, log = free_port(), tmp_path / "head.log"
    head = ["start", "--head", "--node-ip-address=127.0.0.1", f"--port={free_port()}", "--num-cpus=2"]
    head += ["--dashboard-host=127.0.0.1", f"--dashboard-port={port}", "--include-dashboard=true", "--block"]
    head += [f"--dashboard-agent-listen-port={free_port()}"]  # other sessions of Ray may be here
    with TemporaryDirectory(prefix="ray") as folder, log.open("w") as output:  # of a short name: it has sockets
        environment = {**os.environ, **TOKEN, "RAY_TMPDIR": folder}
        process = subprocess.Popen(
            [*RAY, *head], env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        deadline = time.monotonic() + 180
        while not answers(f"http://127.0.0.1:{port}/api/version"):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
        for child in psutil.Process(process.pid).children(recursive=True):  # asked to end, a head drains for 30 s
            with suppress(psutil.NoSuchProcess):
                child.kill()
        process.kill()
        process.wait(timeout=60)


def submit(dashboard: str, job: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Submits a job and waits for it."""
    command = [*RAY, "job", "submit", "--address", dashboard, "--working-dir", str(ROOT), "--"]
    # The interpreter of these tests, since the one on the cluster's PATH may lack raydgp's dependencies.
    command += [sys.executable, f"jobs/{job}.py", *options]
    deadline = time.monotonic() + 60
    while True:
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, env={**os.environ, **TOKEN})
        # The head's dashboard answers before its agent, which takes jobs, is there.
        if "No available agent" not in done.stdout + done.stderr or time.monotonic() > deadline:
            return done
        time.sleep(1)


@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_jobs_measure_resume_and_compare(dashboard: str, tmp_path: Path) -> None:
    tune = ["tune", "--model", "squeezenet_v1_1", "--tasks", "fire6-squeeze", "--strategy", "random"]
    tune += ["--trials", str(TRIALS), "--batch", "3", "--run", "job", "--runs-dir", str(tmp_path)]
    first = submit(dashboard, *tune)
    assert first.returncode == 0, first.stdout + first.stderr
    journal = tmp_path / "job" / "journal.jsonl"
    measured = [record.measurement.index for record in read(journal)]
    assert len(measured) == len(set(measured)) == TRIALS
    assert "fire6-squeeze" in first.stdout
    content = journal.read_bytes()

    second = submit(dashboard, *tune)
    assert second.returncode == 0, second.stdout + second.stderr
    assert journal.read_bytes() == content

    study = ["--strategies", "random", "--baseline", "random", "--seeds", "1", "--trials", "8"]
    compared = submit(dashboard, "compare", "znver4", *study, "--out", str(tmp_path / "study.csv"))
    assert compared.returncode == 0, compared.stdout + compared.stderr
    assert (tmp_path / "study.csv").read_text().count("random") > 1
