"""MLflow refuses, hangs, answers 500: measuring is unchanged, and a later sync gives the runs that would have been."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from raydgp.errors import InputError
from raydgp.records import Journal, read
from raydgp.tracking import TrackerProcess, sync
from tests.support.tracked import CREATED_UNIX_S, FINISH_S, NETWORK, manifest, record, snapshot, write_run


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


def test_the_shape_of_what_is_tracked(expected: dict[str, Any]) -> None:
    assert set(expected) == {"", "a/random", "b/random"}
    span, parent, params, tags, history, texts, parquet = expected[""]
    assert (span[0], span[1], parent) == ("run", "FINISHED", None)
    assert params["model"] == "resnet18"
    assert (params["strategy"], params["trials"], params["measure.repeat"]) == ("autotvm", "40", "3")
    assert tags["device.name"] == "cpu"
    assert tags["git_commit"] == "abc"
    assert [step for step, _, _ in history["trials/measured"]] == list(range(1, 81))
    assert history["network/latency_us"][-1][2] == pytest.approx(3 * 220.0)
    assert len(parquet[0]) == 80
    header, first, *_ = texts["layers.csv"].splitlines()
    assert header.startswith("task,strategy,count,default_latency_us,best_latency_us,speedup")
    assert first.startswith("a,random,2,600.0")

    span, parent, params, tags, history, texts, _ = expected["a/random"]
    assert (span[0], span[1], parent) == ("a random", "FINISHED", "run")
    assert params["task"] == "a"
    assert (params["workload.k"], params["strategy"], params["trials"]) == ("64", "random", "40")
    assert tags["best.tile"] == "[1, 38]"
    assert json.loads(texts["best.json"])["measurement"]["index"] == 38
    assert [value for _, _, value in history["trials/failed"]][-1] == 10
    assert history["time/build_s"][-1][2] == pytest.approx(4.0)
    best = [value for _, _, value in history["best/latency_us"]]
    assert best == sorted(best, reverse=True)
    assert best[-1] == pytest.approx(220.0)
    gflops = [value for _, _, value in history["best/gflops"]]
    assert gflops[-1] == pytest.approx(2 * 64 * 32 / 220e-6 / 1e9)
    assert history["trials/measured"][0][1] == 1000 * CREATED_UNIX_S


def test_syncing_again_changes_nothing(tmp_path: Path, uri: str, expected: dict[str, Any]) -> None:
    run = write_run(tmp_path / "run", uri)
    sync(run)
    sync(run)
    assert snapshot(uri) == expected
    (run / "mlflow.json").unlink()  # the cursor is a convenience
    sync(run)
    assert snapshot(uri) == expected


@pytest.mark.parametrize(
    "server", [server_that_refuses, server_that_hangs, pytest.param(server_that_answers_500, marks=pytest.mark.slow)]
)
def test_a_failing_server_costs_the_run_nothing_and_sync_makes_up_for_it(
    tmp_path: Path, uri: str, expected: dict[str, Any], server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    run = tmp_path / "run"
    with server() as failing_uri:
        sink = TrackerProcess(write_run(run, failing_uri, n=0, finished=False))
        sink.start()
        with Journal(run / "journal.jsonl") as journal:
            for i in range(40):
                journal.append([record(task, i) for task in NETWORK])
        assert sink.finish(timeout_s=FINISH_S) is False
        with pytest.raises(InputError, match=r"cannot be reached or refuses .* run `raydgp sync") as error:
            sync(run)
        assert "\n" not in str(error.value)
    assert len(list(read(run / "journal.jsonl"))) == 80
    manifest(uri).save(run)  # the tests' stand-in for the same address answering again
    sync(run)
    assert snapshot(uri) == expected


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
