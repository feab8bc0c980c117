"""Two machines that share no folder, as network and mount namespaces of this one; the head of their cluster dies."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raydgp.records.lines import decode

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

SOURCE = Path(__file__).parents[2]
TRIALS = 24
PATIENCE_S = 400


class Machine:
    """A network of its own, and /tmp and shared memory of its own; all else is as an image that both have."""

    def __init__(self, name: str, address: str) -> None:
        self.name, self.address = name, address
        subprocess.run(["ip", "netns", "add", name], check=True)
        mounts = "mount -t tmpfs none /tmp && mount -t tmpfs none /dev/shm && touch /tmp/ready && exec sleep 7200"
        self._holder = subprocess.Popen(["ip", "netns", "exec", name, "unshare", "-m", "sh", "-c", mounts])
        self._started = [self._holder]
        wait_for(lambda: self.run("test", "-f", "/tmp/ready").returncode == 0)

    def start(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        inside = ["nsenter", "-t", str(self._holder.pid), "-m", "-n", "env", "-C", "/tmp", "TMPDIR=/tmp", *command]
        own = {"PYTHONPATH": str(SOURCE), "RAY_worker_niceness": "0", "OMP_NUM_THREADS": "1"}
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "that-both-machines-have-of-the-test"}
        started = subprocess.Popen(inside, env=os.environ | own | token, text=True, **options)
        self._started.append(started)
        return started

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        started = self.start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = started.communicate()
        return subprocess.CompletedProcess(command, started.returncode, out, err)

    def ray(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--node-ip-address", self.address, "--block"]
        self.start(*command, "--disable-usage-stats", *arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self, names: tuple[str, ...] = ("",)) -> None:
        """With -9, all processes here of these programs but the one that keeps the folders."""
        pids = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True).stdout.split()
        for pid in pids:
            said = Path("/proc") / pid / "cmdline"
            if int(pid) != self._holder.pid and said.exists() and any(name in said.read_text() for name in names):
                os.kill(int(pid), signal.SIGKILL)

    def close(self) -> None:
        self.kill()
        for each in reversed(self._started):
            each.kill()
            each.wait()
        subprocess.run(["ip", "netns", "del", self.name], check=True)


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    if os.geteuid() or not (shutil.which("ip") and shutil.which("nsenter")):
        pytest.skip("namespaces are made by root, with iproute2 and util-linux")
    names = [f"raydgp-{os.getpid()}-{each}" for each in ("head", "node")]
    head, node = (Machine(name, f"10.77.0.{number}") for number, name in enumerate(names, 1))
    link = f"ip link add rdg0 netns {head.name} type veth peer name rdg0 netns {node.name}"
    subprocess.run(link.split(), check=True)
    for each in (head, node):
        for command in (f"addr add {each.address}/24 dev rdg0", "link set rdg0 up", "link set lo up"):
            subprocess.run(["ip", "-n", each.name, *command.split()], check=True)
    yield head, node
    node.close()
    head.close()


def test_the_head_of_two_machines_without_a_shared_folder_dies_and_costs_nothing_journalled(
    machines: tuple[Machine, Machine],
) -> None:
    head, node = machines
    journal = "/tmp/runs/two/journal.jsonl"
    tune = [sys.executable, "-m", "raydgp", "tune", "--model", "resnet18", "--tasks", "rb3-sc", "--run", "two"]
    tune += ["--strategy", "random", "--trials", str(TRIALS), "--batch", "4", "--runs-dir", "/tmp/runs"]
    tune += ["--ray-address", "10.77.0.1:6379", "--mlflow-uri", "sqlite:////tmp/mlflow.db"]

    def cluster() -> subprocess.Popen[str]:
        head.ray("--head", "--port=6379", "--num-cpus=0", "--include-dashboard=false")
        health = (sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address=10.77.0.1:6379")
        wait_for(lambda: node.run(*health).returncode == 0)
        node.ray("--address=10.77.0.1:6379", "--num-cpus=2")
        return head.start(*tune, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def lines() -> list[str]:
        return head.run("cat", journal).stdout.splitlines(keepends=True)

    driver = cluster()
    wait_for(lambda: len(lines()) >= 4 or driver.poll() is not None)
    assert driver.poll() is None, driver.communicate()
    head.kill(("gcs_server", "raylet"))
    _, said = driver.communicate(timeout=PATIENCE_S)
    assert driver.returncode
    assert "Traceback" not in said
    before = [line for line in lines() if line.endswith("\n")]
    assert len(before) < TRIALS
    node.kill()
    head.kill()

    driver = cluster()
    out, said = driver.communicate(timeout=PATIENCE_S)
    assert driver.returncode == 0, said
    assert "/tmp/runs/two" in out
    after = lines()
    assert after[: len(before)] == before
    records = [decode(line.encode()) for line in after]
    assert len({record.measurement.index for record in records}) == len(records) == TRIALS
    assert node.run("ls", "/tmp/runs").returncode  # what the node had to know came through Ray
