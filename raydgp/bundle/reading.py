"""A bundle read again. Whatever is damaged gives one line; no code is handed out that is not what it was."""

from __future__ import annotations

import hashlib
import json
import lzma
import zipfile
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from raydgp.bundle.format import CODES, FORMAT, HEADER, Code, Header, Kernel, Task
from raydgp.errors import InputError

_BLOCKS = 2  # decompressed ones that are kept


class Bundle:
    """An open bundle.

    Args:
        path: of the file.

    Raises:
        InputError: no such file, no bundle, damaged, or of another format. So do all its methods.

    Attributes:
        header: what `bundle.json` says.
        sha256: of the bytes of `bundle.json`, which identifies the bundle.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}; give a file of `raydgp bundle make`") from None
        except zipfile.BadZipFile:
            raise InputError(
                f"{path}: no bundle, or cut off; give a file of `raydgp bundle make`, copied whole"
            ) from None
        content = self._stored(HEADER)
        self.sha256 = hashlib.sha256(content).hexdigest()
        said = self._json(HEADER, content)
        if not isinstance(said, dict) or said.get("format") != FORMAT:
            found = said.get("format") if isinstance(said, dict) else None
            raise InputError(f"{path}: format {found!r}, and this version reads {FORMAT}; make the bundle again")
        try:
            self.header = Header.model_validate(said)
        except ValidationError:
            raise self._damaged(HEADER) from None
        self._block = lru_cache(maxsize=_BLOCKS)(self._decompressed_block)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._zip.close()

    def kernels(self, task: Task) -> list[Kernel]:
        """The kernels of a task, by place."""
        try:
            kernels = [Kernel.model_validate(line) for line in self._lines(task.kernels)]
        except ValidationError:
            raise self._damaged(task.kernels) from None
        if len(kernels) != task.count:
            raise self._damaged(task.kernels)
        return kernels

    def expected(self, task: Task) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Positions in the flat logical output, and the reference's values there: int64[n], float32[n]."""
        content = self._decompressed(task.expected)
        count, rest = divmod(len(content), 12)
        if rest:
            raise self._damaged(task.expected)
        return np.frombuffer(content, "<i8", count), np.frombuffer(content, "<f4", count, 8 * count)

    def code(self, sha256: str) -> bytes:
        """Machine code, checked."""
        try:
            at = self._codes[sha256]
        except KeyError:
            raise self._damaged(CODES) from None
        code: bytes = self._block(at.block)[at.offset : at.offset + at.size]
        if hashlib.sha256(code).hexdigest() != sha256:
            raise self._damaged(f"blocks/{at.block}.xz")
        return code

    def library(self, file: str) -> bytes:
        """One of the libraries of `Header.runtime`."""
        return self._decompressed(self.header.runtime[file])

    @cached_property
    def _codes(self) -> dict[str, Code]:
        try:
            return {line["code"]: Code.model_validate(line) for line in self._lines(CODES)}
        except (KeyError, TypeError, ValidationError):
            raise self._damaged(CODES) from None

    def _decompressed_block(self, block: int) -> bytes:
        return self._decompressed(f"blocks/{block}.xz")

    def _lines(self, member: str) -> Iterator[Any]:
        for line in self._decompressed(member).splitlines():
            yield self._json(member, line)

    def _json(self, member: str, content: bytes) -> Any:
        try:
            return json.loads(content)
        except ValueError:
            raise self._damaged(member) from None

    def _decompressed(self, member: str) -> bytes:
        try:
            return lzma.decompress(self._stored(member), lzma.FORMAT_XZ)
        except lzma.LZMAError:
            raise self._damaged(member) from None

    def _stored(self, member: str) -> bytes:
        try:
            return self._zip.read(member)  # checks size and CRC
        except (KeyError, OSError, EOFError, ValueError, NotImplementedError, zipfile.BadZipFile):
            raise self._damaged(member) from None

    def _damaged(self, member: str) -> InputError:
        return InputError(f"{self.path}: damaged at {member}; copy it again, or make it again")
