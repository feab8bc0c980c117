"""The child's side of raydgp.sandbox.process: takes requests until its parent is gone."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from raydgp.registry import EXTENSIONS, load_extensions
from raydgp.sandbox.messages import Message, receive, send

Handle = Callable[[dict[str, Any], bytes], Message]


def serve(start: Callable[[], Handle]) -> None:
    """Answers the messages of the channel whose descriptor is the first argument, one at a time.

    Args:
        start: imports what is heavy and gives the function that answers a request. An exception of that function is
            answered as `{"error": one line}`.
    """
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        _forbid_torch()
        handle = start()
        if EXTENSIONS in os.environ:
            allow_torch()  # extensions may import libraries that take it for there or not
            load_extensions(os.environ)
        _be_silent()
        send(channel, {"ready": True})
        while True:
            try:
                request = receive(channel)
            except EOFError:
                return
            try:
                answer = handle(*request)
            except Exception as error:
                answer = {"error": one_line(error)}, b""
            send(channel, *answer)


def allow_torch() -> None:
    """Lets a child of `serve` import torch; where it did, nothing changes, as torch cannot be imported twice."""
    if sys.modules.get("torch", ...) is None:
        del sys.modules["torch"]


@contextmanager
def without_torch() -> Iterator[None]:
    """Lets this process import TVM alone, for work that torch has no part in; where it is loaded, nothing changes."""
    if "torch" in sys.modules:
        yield
        return
    _forbid_torch()
    try:
        yield
    finally:
        allow_torch()


def _forbid_torch() -> None:
    """tvm_ffi imports torch when it can: 2 s and 300 MB."""
    sys.modules["torch"] = None  # type: ignore[assignment]


def one_line(error: BaseException) -> str:
    """An error's kind and message in at most some 400 characters of one line, the middle left out."""
    text = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {text if len(text) < 360 else f'{text[:180]} ... {text[-180:]}'}"


def knobs_from_json(knobs: dict[str, Any]) -> dict[str, Any]:
    """Knob values as `ConfigSpace.decode` gives them: JSON makes lists of tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in knobs.items()}


def _be_silent() -> None:
    """Sends what kernels print nowhere; until here standard error told the parent why a start failed."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
