"""Joining and starting Ray: what cannot work is said at once, and a local session is nobody else's."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
import ray

from raydgp.cluster.session import connect, ray_utils, uninterrupted
from raydgp.errors import InputError, RaydgpError

pytestmark = pytest.mark.cluster


@pytest.fixture
def foreign_port() -> Iterator[int]:
    """Something listens there, and it is no Ray."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize(
    "address", ["ray://127.0.0.1:10001", "nonsense", "127.0.0.1", "127.0.0.1:port", "closed", "127.0.0.1:99999", "auto"]
)
def test_an_address_where_no_cluster_is_costs_one_line_and_seconds(address: str) -> None:
    if address == "auto" and any(process.name() == "raylet" for process in psutil.process_iter()):
        pytest.skip("a Ray cluster runs on this machine")
    address = f"127.0.0.1:{closed_port()}" if address == "closed" else address
    began = time.monotonic()
    with pytest.raises(InputError) as failure:
        connect(address)
    assert time.monotonic() - began < 20
    assert "\n" not in str(failure.value)
    assert address in str(failure.value)
    assert not ray.is_initialized()


def test_something_else_at_the_address_is_found_out_in_bounded_time(foreign_port: int) -> None:
    began = time.monotonic()
    with pytest.raises(InputError, match="no Ray cluster"):
        connect(f"127.0.0.1:{foreign_port}")
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_ray_has_started_and_comes_to_its_handler(number: signal.Signals) -> None:
    came: list[int] = []
    before = signal.signal(number, lambda number, _: came.append(number))
    try:
        with uninterrupted():
            ray_utils.set_sigterm_handler(lambda *_: came.append(-1))  # as `ray.init` does
            os.kill(os.getpid(), number)
            time.sleep(0.01)
            assert came == []
        assert came == [number]
        signal.raise_signal(number)
        assert came == [number, number]
        with uninterrupted():
            signal.raise_signal(number)
            with pytest.raises(KeyboardInterrupt):  # whoever asks twice does not want to wait
                signal.raise_signal(number)
    finally:
        signal.signal(number, before)


def gives_up(monkeypatch: pytest.MonkeyPatch, times: int) -> list[object]:
    """Ray as on a busy machine: it gives up on itself so often. Returns what it was called with, call by call."""
    start, calls = ray.init, list[object]()

    def init(**options: Any) -> Any:
        calls.append(options)
        if len(calls) <= times:
            raise Exception("The current node timed out during startup.\nMore of it.")
        return start(**options)

    monkeypatch.setattr(ray, "init", init)
    return calls


def test_ray_that_does_not_start_twice_costs_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = gives_up(monkeypatch, 2)
    with pytest.raises(
        RaydgpError, match=r"^Ray does not start here \(The current .* startup.\): run .* again"
    ) as failure:
        connect(None)
    assert len(calls) == 2
    assert "\n" not in str(failure.value)


def test_a_local_session_listens_on_loopback_alone_and_is_joined_by_the_next_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where Ray starts at the second try alone."""
    calls = gives_up(monkeypatch, 1)
    assert connect(None)
    assert len(calls) == 2
    try:
        assert not connect(None)
        here = psutil.Process()
        sockets = [c for process in [here, *here.children(recursive=True)] for c in process.net_connections("inet")]
        listening = {c.laddr.ip.removeprefix("::ffff:") for c in sockets if c.status == psutil.CONN_LISTEN}
        assert listening == {"127.0.0.1"}
    finally:
        ray.shutdown()
