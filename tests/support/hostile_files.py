"""Files that were damaged or edited by someone who knows their form, and a limit on what a reader may take."""

from __future__ import annotations

import json
import lzma
import random
import resource
import signal
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq

_MEMORY_BYTES = 1 << 30
_SECONDS = 60  # that are none on a busy machine
_DEEP = 3000
_ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2**31, 2**63, 10**30, 1.5, -0.0, 1e308, float("nan"), float("inf")),
    *("", "x", "0", "../../x", "\x00", "\ud800", "é" * 300, "1" * 5000, [], [[]], [None], {}, {"": {}}, {"a": [1]}),
)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Some bytes flipped, cut, doubled or put in."""
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(data) + 1), rng.choice([1, 2, 7, 64])
        how = rng.randrange(5)
        if how == 0:
            data = data[:at]
        elif how == 1:
            data = data[:at] + rng.randbytes(length) + data[at + length :]
        elif how == 2:
            data = data[:at] + data[at + length :]
        elif how == 3:
            data = data[:at] + data[at : at + length] + data[at:]
        else:
            data = data[:at] + rng.choice([b"{", b"[", b'"', b"\n", b"\x00", b"9" * 400, b"- &a [*a]\n"]) + data[at:]
    return data


def edited(tree: Any, rng: random.Random) -> Any:
    """A JSON document in which some values are others, missing, doubled or nested without end."""
    tree = deepcopy(tree)
    for _ in range(rng.randint(1, 3)):
        where = [place for place in _places(tree, None, None) if place[0] is not None]
        if not where:
            return rng.choice(_ODD)
        parent, key = rng.choice(where)
        how = rng.randrange(8)
        if how == 0:
            del parent[key]
        elif how == 1:
            parent[key] = _deep(rng)
        elif how == 2 and isinstance(parent, dict):
            parent[rng.choice(["x", "", "index", "__class__"])] = rng.choice(_ODD)
        elif how == 3 and isinstance(parent, list):
            parent *= 2
        elif how == 4:
            parent[key] = deepcopy(rng.choice(where)[0])
        else:
            parent[key] = rng.choice(_ODD)
    return tree


def _places(tree: Any, parent: Any, key: Any) -> Iterator[tuple[Any, Any]]:
    yield parent, key
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for inner, value in list(pairs):
        yield from _places(value, tree, inner)


def _deep(rng: random.Random) -> Any:
    return _Deep(*rng.choice([("[", "]"), ('{"a":', "}")]))


class _Deep:
    """Stands for what is nested too deep to be made as an object."""

    def __init__(self, opening: str, closing: str) -> None:
        self.text = _DEEP * opening + "1" + _DEEP * closing

    def __deepcopy__(self, memo: Any) -> _Deep:
        return self


def encoded(tree: Any) -> bytes:
    """As JSON."""
    deep: list[str] = []

    def mark(value: Any) -> str:
        deep.append(value.text)
        return f"\x01{len(deep) - 1}\x01"

    text = json.dumps(tree, default=mark)
    for number, inner in enumerate(deep):
        text = text.replace(f'"\\u0001{number}\\u0001"', inner)
    return text.encode()


def hostile_json(data: bytes, rng: random.Random) -> bytes:
    """A JSON document, or JSON lines, edited or damaged."""
    if rng.random() < 0.3:
        return damaged(data, rng)
    lines = data.splitlines() if data.count(b"\n") > 1 and data[:1] == b"{" and data[1:2] != b"\n" else [data]
    at = rng.randrange(len(lines))
    try:
        return b"\n".join([*lines[:at], encoded(edited(json.loads(lines[at]), rng)), *lines[at + 1 :]]) + b"\n"
    except (ValueError, RecursionError):  # not finite, and the like
        return damaged(data, rng)


@cache
def _bomb() -> bytes:
    """A gigabyte and a half of zeros in a few kilobytes."""
    packer = lzma.LZMACompressor(preset=0)
    return b"".join([*(packer.compress(bytes(1 << 26)) for _ in range(24)), packer.flush()])


def hostile_zip(data: Path, rng: random.Random) -> bytes:
    """An archive of which a member is edited, packed as it was, or whose bytes are damaged."""
    if rng.random() < 0.2:
        return damaged(data.read_bytes(), rng)
    copy = data.with_suffix(".edited")
    with zipfile.ZipFile(data) as old, zipfile.ZipFile(copy, "w") as new:
        chosen = rng.choice(old.namelist())
        for name in old.namelist():
            content = old.read(name)
            if name == chosen:
                packed = name.endswith(".xz")
                content = lzma.decompress(content) if packed else content
                content = rng.choice([hostile_json, damaged])(content, rng)
                content = lzma.compress(content, preset=0) if packed else content
                content = _bomb() if packed and rng.random() < 0.05 else content
            new.writestr(name, content)
    return copy.read_bytes()


@contextmanager
def bounded() -> Iterator[None]:
    """Ends in an error where what is done takes a gigabyte more than there was, or much time."""

    def late(*_: object) -> None:
        raise AssertionError(f"it takes more than {_SECONDS} s")

    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, late)
    signal.alarm(_SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + _MEMORY_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)


def redescribed(path: Path, rng: random.Random) -> bytes:
    """A recorded space whose description is edited, sometimes without one of its columns."""
    table = pq.read_table(path)
    said = json.loads(table.schema.metadata[b"raydgp"])
    try:
        text = encoded(edited(said, rng))
    except (ValueError, RecursionError):  # it has come to hold itself
        text = b"{}"
    if rng.random() < 0.3:
        table = table.drop_columns([rng.choice(table.column_names)])
    pq.write_table(table.replace_schema_metadata({b"raydgp": text}), path)
    return path.read_bytes()
