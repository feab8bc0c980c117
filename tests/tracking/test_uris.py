"""A tracking URI is looked at before anything is measured."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from raydgp.errors import InputError
from raydgp.tracking import check


@pytest.fixture(params=[200, 404, 500])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


def test_a_server_that_answers_is_there_whatever_it_says(server: str) -> None:
    check(server)


def test_a_closed_port_is_named_with_its_remedy() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(InputError, match=r"cannot be reached .*start the server"):
        check(uri)


def test_a_database_needs_its_folder(tmp_path: Path) -> None:
    check(f"sqlite:///{tmp_path}/mlflow.db")
    with pytest.raises(InputError, match="no folder"):
        check(f"sqlite:///{tmp_path}/absent/mlflow.db")


@pytest.mark.parametrize("uri", ["mlruns", ""])
def test_a_uri_without_a_scheme_is_refused(uri: str) -> None:
    with pytest.raises(InputError, match="names no scheme"):
        check(uri)
