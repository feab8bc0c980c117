"""MLflow refuses, hangs, answers 500: measuring is unchanged, and a later sync gives the runs that would have been."""

import json
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient

from raydgp.errors import InputError
from raydgp.records import Context, Journal, Measurement, Phases, Record, RunManifest, Status, TaskEntry, read
from raydgp.records.history import read_parquet
from raydgp.tracking import Sink, sync

CREATED_UNIX_S = 1.75e9
NETWORK = {"a": 2, "b": 1}  # tasks by count
FINISH_S = 240.0  # the follower is nice: on a busy machine it comes last


def manifest(uri: str, finished: bool = True) -> RunManifest:
    tasks = [
        TaskEntry(
            name=name,
            workload={"op": "dense", "n": 1, "k": 64, "m": 32},
            count=count,
            group="dense",
            space_hash=name * 16,
            space_size=1000,
            default_index=0,
        )
        for name, count in NETWORK.items()
    ]
    return RunManifest(
        settings={"model": "resnet18", "trials": 40, "mlflow": {"uri": uri}},
        tasks=tasks,
        target={"kind": "llvm"},
        device={"name": "cpu", "threads": 2},
        versions={"tvm": "0.27"},
        git_commit="abc",
        created_unix_s=CREATED_UNIX_S,
        peak_gflops=100.0,
        finished_unix_s=CREATED_UNIX_S + 1000 if finished else None,
    )


def record(task: str, index: int, **fields: Any) -> Record:
    context = Context(
        task=task,
        workload={"op": "dense", "n": 1, "k": 64, "m": 32},
        target={"kind": "llvm"},
        space_hash=task * 16,
        strategy="random",
        seed=0,
        run="run",
    )
    failed = index % 4 == 3
    measured = Measurement(
        index=index,
        status=Status.RUN_ERROR if failed else Status.OK,
        times_s=() if failed else ((60 - index) * 1e-5,),
        phases=Phases(build_s=0.1, run_s=0.2),
        time_unix_s=CREATED_UNIX_S + index,
    )
    return Record(context=context, trial=index, knobs={"tile": [1, index]}, measurement=measured)


def write_run(folder: Path, uri: str, n: int = 40, finished: bool = True) -> Path:
    manifest(uri, finished).save(folder)
    with Journal(folder / "journal.jsonl") as journal:
        journal.append([record(task, i) for i in range(n) for task in NETWORK])
    return folder


def point_at(run: Path, uri: str) -> None:
    """The server is back, elsewhere: the tests' stand-in for the same address answering again."""
    manifest(uri).save(run)


def snapshot(uri: str) -> dict[str, Any]:
    """Everything in the store that a user can see, by the run's part."""
    client = MlflowClient(tracking_uri=uri)
    (experiment,) = [e for e in client.search_experiments() if e.name != "Default"]
    runs = client.search_runs([experiment.experiment_id])
    seen: dict[str, Any] = {}
    names = {run.info.run_id: run.info.run_name for run in runs}
    for run in runs:
        part = run.data.tags["raydgp.part"]
        assert part not in seen, "a run twice"
        history = {
            key: [(m.step, m.timestamp, m.value) for m in client.get_metric_history(run.info.run_id, key)]
            for key in run.data.metrics
        }
        tags = {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")}
        parent = names.get(run.data.tags.get("mlflow.parentRunId", ""))
        folder = Path(client.download_artifacts(run.info.run_id, ""))
        texts = {f.name: f.read_text() for f in folder.iterdir() if f.suffix != ".parquet"}
        texts = {k: re.sub(r'"uri": *"[^"]*"', '"uri": ""', text) for k, text in texts.items()}
        parquet = [read_parquet(f) for f in folder.glob("*.parquet")]
        info = run.info
        span = (info.run_name, info.status, info.start_time, info.end_time)
        seen[part] = [span, parent, run.data.params, tags, history, texts, parquet]
    return seen


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables made, which takes MLflow a second."""
    file = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def uri(tmp_path: Path, empty_database: Path) -> str:
    """A sound store of the test's own."""
    return f"sqlite:///{shutil.copy(empty_database, tmp_path / 'mlflow.db')}"


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the runs look like when nothing went wrong."""
    folder = tmp_path_factory.mktemp("sound")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    sync(write_run(folder / "run", uri))
    return snapshot(uri)


@contextmanager
def server_that_refuses() -> Iterator[str]:
    with socket.socket() as reserved:  # bound, but nobody listens
        reserved.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}"


@contextmanager
def server_that_hangs() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


class _Answers500(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        self.send_error(500)

    do_GET = do_POST = do_PATCH = _answer

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def server_that_answers_500() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers500)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


SERVERS = [server_that_refuses, server_that_hangs, server_that_answers_500]


def test_the_shape_of_what_is_tracked(expected: dict[str, Any]) -> None:
    assert set(expected) == {"", "a/random", "b/random"}
    span, parent, params, tags, history, texts, parquet = expected[""]
    assert (span[0], span[1], parent) == ("run", "FINISHED", None)
    assert params["model"] == "resnet18"
    assert tags["device.name"] == "cpu"
    assert tags["git_commit"] == "abc"
    assert [step for step, _, _ in history["measured"]] == list(range(1, 81))
    assert history["network_latency_us"][-1][2] == pytest.approx(3 * 220.0)
    assert len(parquet[0]) == 80
    header, first, *_ = texts["layers.csv"].splitlines()
    assert header.startswith("layer,strategy,count,default_latency_us,best_latency_us,speedup")
    assert first.startswith("a,random,2,600.0")

    span, parent, params, tags, history, texts, _ = expected["a/random"]
    assert (span[0], span[1], parent) == ("a random", "FINISHED", "run")
    assert params["task"] == "a"
    assert params["k"] == "64"
    assert tags["best.tile"] == "[1, 38]"
    assert json.loads(texts["best.json"])["measurement"]["index"] == 38
    assert [value for _, _, value in history["failed"]][-1] == 10
    assert history["build_s"][-1][2] == pytest.approx(4.0)
    best = [value for _, _, value in history["best_latency_us"]]
    assert best == sorted(best, reverse=True)
    assert best[-1] == pytest.approx(220.0)
    gflops = [value for _, _, value in history["best_gflops"]]
    assert gflops[-1] == pytest.approx(2 * 64 * 32 / 220e-6 / 1e9)
    assert history["measured"][0][1] == 1000 * CREATED_UNIX_S


def test_syncing_again_changes_nothing(tmp_path: Path, uri: str, expected: dict[str, Any]) -> None:
    run = write_run(tmp_path / "run", uri)
    sync(run)
    sync(run)
    assert snapshot(uri) == expected
    (run / "mlflow.json").unlink()  # the cursor is a convenience
    sync(run)
    assert snapshot(uri) == expected


@pytest.mark.parametrize("server", SERVERS)
def test_a_failing_server_costs_the_run_nothing_and_sync_makes_up_for_it(
    tmp_path: Path, uri: str, expected: dict[str, Any], server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    run = tmp_path / "run"
    with server() as failing_uri:
        sink = Sink(write_run(run, failing_uri, n=0, finished=False))
        sink.start()
        with Journal(run / "journal.jsonl") as journal:
            for i in range(40):
                journal.append([record(task, i) for task in NETWORK])
        assert sink.finish(timeout_s=FINISH_S) is False
        with pytest.raises(InputError, match=r"cannot be reached or refuses .* run `raydgp sync") as error:
            sync(run)
        assert "\n" not in str(error.value)
    assert len(list(read(run / "journal.jsonl"))) == 80
    point_at(run, uri)
    sync(run)
    assert snapshot(uri) == expected


def test_finish_waits_no_longer_than_it_is_told_to(tmp_path: Path) -> None:
    with server_that_hangs() as uri:
        sink = Sink(write_run(tmp_path / "run", uri))
        sink.start()
        (follower,) = psutil.Process().children()
        assert sink.finish(timeout_s=0.5) is False
        assert not follower.is_running()


def test_following_a_run_gives_the_same_as_syncing_it(tmp_path: Path, uri: str, expected: dict[str, Any]) -> None:
    run = write_run(tmp_path / "run", uri, n=0, finished=False)
    sink = Sink(run)
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
    sink = Sink(run)
    sink.start()
    wait_for_child(tmp_path / "mlflow.db")
    (follower,) = psutil.Process().children()
    follower.kill()
    assert sink.finish(timeout_s=FINISH_S) is False
    sync(run)
    assert snapshot(uri) == expected


def test_the_follower_ends_when_the_driver_is_killed(tmp_path: Path, uri: str) -> None:
    run = write_run(tmp_path / "run", uri, finished=False)
    script = (
        "import sys, time; from pathlib import Path; from raydgp.tracking import Sink\n"
        "Sink(Path(sys.argv[1])).start(); print('started', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(run)], stdout=subprocess.PIPE) as driver:
        assert driver.stdout
        driver.stdout.readline()
        (follower,) = psutil.Process(driver.pid).children()
        driver.kill()
    follower.wait(FINISH_S)
    assert snapshot(uri)["a/random"][0][1] == "KILLED"
    manifest(uri).save(run)  # resumed and finished
    sync(run)
    assert snapshot(uri)["a/random"][0][1] == "FINISHED"


def test_damaged_and_repeated_lines_are_passed_over(tmp_path: Path, uri: str, expected: dict[str, Any]) -> None:
    run = write_run(tmp_path / "run", uri)
    journal = run / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:30], b"damage\n", *lines[30:], *lines[:10], b'{"torn']))
    sync(run)
    found = snapshot(uri)
    assert len(found[""].pop()[0]) == 90  # the Parquet file keeps all that was recorded
    assert found[""] == expected[""][:-1]
    assert found["a/random"] == expected["a/random"]
