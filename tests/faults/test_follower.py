"""The process that sends a run to MLflow: it is waited for no longer than told, and whoever dies, nothing is lost."""

import socket
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from raydgp.errors import InputError
from raydgp.records import Journal
from raydgp.tracking import TrackerProcess, sync
from tests.support.processes import start_python
from tests.support.tracked import FINISH_S, NETWORK, manifest, record, snapshot, write_run


def follower_of(driver: psutil.Process) -> psutil.Process:
    """The follower of a process, which may have other children, dead ones too: what earlier tests have left."""

    def command(process: psutil.Process) -> list[str]:
        with suppress(psutil.NoSuchProcess):  # a zombie is such a one
            return process.cmdline()
        return []

    return max(
        (child for child in driver.children() if "raydgp.tracking.follower" in command(child)),
        key=psutil.Process.create_time,
    )


def test_finish_waits_no_longer_than_it_is_told_to(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        sink = TrackerProcess(write_run(tmp_path / "run", f"http://127.0.0.1:{hanging.getsockname()[1]}"))
        sink.start()
        follower = follower_of(psutil.Process())
        assert sink.finish(timeout_s=0.5) is False
        assert not follower.is_running()


def test_following_a_run_gives_the_same_as_syncing_it(tmp_path: Path, uri: str, expected: dict[str, Any]) -> None:
    run = write_run(tmp_path / "run", uri, n=0, finished=False)
    sink = TrackerProcess(run)
    sink.start()
    with Journal(run / "journal.jsonl") as journal:
        for i in range(40):
            journal.append([record(task, i) for task in NETWORK])
            if i == 20:
                wait_for_child(tmp_path / "mlflow.db")
                with pytest.raises(InputError, match="another process tracks this run"):
                    sync(run)
    manifest(uri).save(run)
    assert sink.finish(timeout_s=FINISH_S) is True
    assert snapshot(uri) == expected


def wait_for_child(database: Path) -> None:
    """Until the follower has written metrics: it is in the middle of its work."""
    pause = threading.Event()
    for _ in range(600):
        if database.exists():
            try:
                with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
                    if connection.execute("select count(*) from metrics").fetchone()[0]:
                        return
            except sqlite3.OperationalError:  # its tables are being made
                pass
        pause.wait(0.1)
    pytest.fail("the follower never wrote")


def test_a_killed_follower_loses_nothing(tmp_path: Path, uri: str, expected: dict[str, Any]) -> None:
    run = write_run(tmp_path / "run", uri)
    sink = TrackerProcess(run)
    sink.start()
    wait_for_child(tmp_path / "mlflow.db")
    follower = follower_of(psutil.Process())
    follower.kill()
    assert sink.finish(timeout_s=FINISH_S) is False
    sync(run)
    assert snapshot(uri) == expected


def test_the_follower_ends_when_the_driver_is_killed(tmp_path: Path, uri: str) -> None:
    run = write_run(tmp_path / "run", uri, finished=False)
    script = (
        "import sys, time; from pathlib import Path; from raydgp.tracking import TrackerProcess\n"
        "TrackerProcess(Path(sys.argv[1])).start(); print('started', flush=True); time.sleep(600)"
    )
    with start_python("-c", script, str(run)) as driver:
        assert driver.stdout
        driver.stdout.readline()
        follower = follower_of(psutil.Process(driver.pid))
        wait_for_child(tmp_path / "mlflow.db")  # alone, it has 30 s, in which a busy machine may not get that far
        driver.kill()
    follower.wait(FINISH_S)
    assert snapshot(uri)["a/random"][0][1] == "KILLED"
    manifest(uri).save(run)  # resumed and finished
    sync(run)
    assert snapshot(uri)["a/random"][0][1] == "FINISHED"
