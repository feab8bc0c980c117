"""Universal Binary JSON as XGBoost writes it, read without XGBoost: to look at a file before its C++ trusts it.

https://ubjson.org, draft 12: sizes and numbers are big-endian, arrays of one type are `[$type#count` and their bytes.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

_NUMBERS = {b"i": "b", b"U": "B", b"I": "h", b"l": "i", b"L": "q", b"d": "f", b"D": "d"}
_WORDS = {b"Z": None, b"T": True, b"F": False}


def parse(data: bytes) -> Any:
    """The value of a whole file; arrays of one type as numpy's.

    Raises:
        ValueError, RecursionError: it is none, truncated, nested too deep, or has bytes after its end.
    """
    reader = _Reader(data)
    value = reader.value(reader.take(1))
    if reader.at != len(data):
        raise ValueError("bytes after its end")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def take(self, count: int) -> bytes:
        part = self._data[self.at : self.at + count]
        if count < 0 or len(part) != count:
            raise ValueError("truncated")
        self.at += count
        return part

    def value(self, marker: bytes) -> Any:
        if marker in _NUMBERS:
            return self._number(marker)
        if marker in _WORDS:
            return _WORDS[marker]
        if marker == b"S":
            return self._text()
        if marker == b"{":
            return self._object()
        if marker == b"[":
            return self._array()
        raise ValueError(f"unknown type {marker!r}")

    def _number(self, marker: bytes) -> Any:
        code = ">" + _NUMBERS[marker]
        return struct.unpack(code, self.take(struct.calcsize(code)))[0]

    def _size(self) -> int:
        marker = self.take(1)
        if marker not in (b"i", b"U", b"I", b"l", b"L"):
            raise ValueError("a size that is none")
        return int(self._number(marker))

    def _text(self) -> str:
        return self.take(self._size()).decode()

    def _object(self) -> dict[str, Any]:
        out: dict[str, Any] = {}
        while self._data[self.at : self.at + 1] != b"}":
            key = self._text()
            out[key] = self.value(self.take(1))
        self.at += 1
        return out

    def _array(self) -> Any:
        if self._data[self.at : self.at + 1] == b"$":
            kind = self.take(3)
            if kind[1:2] not in _NUMBERS or kind[2:] != b"#":
                raise ValueError("an array of no type")
            dtype = np.dtype(">" + _NUMBERS[kind[1:2]].replace("b", "i1").replace("B", "u1"))
            return np.frombuffer(self.take(self._size() * dtype.itemsize), dtype)
        if self._data[self.at : self.at + 1] == b"#":
            self.at += 1
            return [self.value(self.take(1)) for _ in range(self._size())]
        out = []
        while (marker := self.take(1)) != b"]":
            out.append(self.value(marker))
        return out
