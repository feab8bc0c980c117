"""Messages between a parent and its children: sizes, a JSON header, raw bytes. Never pickle.

`multiprocessing.connection.Connection` does not serve: its `poll` sees the first byte alone, and `recv_bytes` and
`send_bytes` then wait without a deadline for a child that hangs in the middle of a message.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable
from typing import Any

_SIZES = struct.Struct("!4sIQ")
_MAGIC = b"rdgp"
_LARGEST_HEADER_BYTES = 1 << 20
_LARGEST_BODY_BYTES = 1 << 31

Message = tuple[dict[str, Any], bytes]


class FrameError(Exception):
    """The bytes are no message: something else wrote into the channel. The `Child` makes ChildDied of it."""


def send(channel: socket.socket, header: dict[str, Any], body: bytes = b"") -> None:
    """Sends one message, blocking as the socket does."""
    head = json.dumps(header).encode()
    channel.sendall(_SIZES.pack(_MAGIC, len(head), len(body)) + head)
    channel.sendall(body)


def receive(channel: socket.socket, wait: Callable[[], None] = lambda: None) -> Message:
    """Receives one message.

    Args:
        wait: called before every read; returns when there is something to read, raises to give up.

    Raises:
        EOFError: the other side is gone.
        FrameError: not a message.
    """
    magic, head_bytes, body_bytes = _SIZES.unpack(_exactly(channel, _SIZES.size, wait))
    if magic != _MAGIC or head_bytes > _LARGEST_HEADER_BYTES or body_bytes > _LARGEST_BODY_BYTES:
        raise FrameError("not a message")
    head = _exactly(channel, head_bytes, wait)
    body = _exactly(channel, body_bytes, wait)
    try:
        return json.loads(head), body
    except ValueError:
        raise FrameError("not a message") from None


def _exactly(channel: socket.socket, count: int, wait: Callable[[], None]) -> bytes:
    parts = []
    while count:
        wait()
        part = channel.recv(min(count, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
