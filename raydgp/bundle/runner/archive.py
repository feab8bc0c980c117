"""A bundle as the runner reads it: a ZIP of JSON and compressed bytes, all of it checked before it is used."""

from __future__ import annotations

import hashlib
import json
import lzma
import operator
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

from raydgp.errors import MALFORMED, InputError

FORMAT = 1
HEADER, CODES = "bundle.json", "codes.jsonl.xz"
_HELD_BLOCKS_BYTES = 1 << 29  # of decompressed machine code, so that tasks can take turns
_SMALL_BYTES, _MOST_TIMES = 1 << 24, 256  # that a member may become; code and lines do not compress as well as that


class Archive:
    """The bundle in a file.

    Attributes:
        path: of it.
        header: content of `bundle.json`.
        digest: its SHA-256, which tells bundles apart.

    Raises:
        InputError: no bundle, one of another format, or damaged; so do all methods.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        remedy = "give a file of `raydgp bundle make`"
        try:
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}; {remedy}") from None
        except zipfile.BadZipFile:
            raise InputError(f"{path}: not a bundle, or cut short; {remedy}, copied whole") from None
        text = self.member(HEADER)
        self.digest = hashlib.sha256(text).hexdigest()
        header = self._json(text, HEADER)
        found = header.get("format") if isinstance(header, dict) else None
        if found != FORMAT:
            raise InputError(f"{path}: format {found!r}, and this version reads {FORMAT}; make the bundle again")
        self.header: dict[str, Any] = header
        self._codes: dict[str, tuple[int, int, int]] = {}
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    @property
    def tasks(self) -> list[dict[str, Any]]:
        tasks: list[dict[str, Any]] = self.header["tasks"]
        return tasks

    @property
    def models(self) -> list[dict[str, Any]]:
        models: list[dict[str, Any]] = self.header.get("models", [])  # bundles of earlier versions have none
        return models

    def sequence(self, model: int) -> dict[str, Any]:
        """The steps of a model."""
        name = self.models[model]["sequence"]
        found: dict[str, Any] = self._json(self.member(name), name)
        return found

    def kernels(self, task: int) -> list[dict[str, Any]]:
        """The kernels of a task in the order of measuring, also those that were not built."""
        entry = self.tasks[task]
        kernels = self.lines(entry["kernels"])
        if len(kernels) != entry["count"]:
            raise self.damaged(entry["kernels"])
        return kernels

    def expected(self, task: int) -> bytes:
        """Positions of the flat output in int64, then its values there in float32."""
        return self.member(self.tasks[task]["expected"])

    def runtime(self) -> dict[str, bytes]:
        """Libraries by file name."""
        return {file: self.member(name) for file, name in self.header["runtime"].items()}

    def code(self, digest: str) -> bytes:
        """The machine code of a kernel by its SHA-256."""
        if not self._codes:
            try:
                self._codes = {e["code"]: _place(e["block"], e["offset"], e["size"]) for e in self.lines(CODES)}
            except MALFORMED:
                raise self.damaged(CODES) from None
        if digest not in self._codes:
            raise self.damaged(CODES)
        block, offset, size = self._codes[digest]
        code = self._block(block)[offset : offset + size]
        if hashlib.sha256(code).hexdigest() != digest:
            raise self.damaged(f"blocks/{block}.xz")
        return code

    def close(self) -> None:
        self._zip.close()

    def lines(self, name: str) -> list[Any]:
        """A member of JSON lines."""
        return [self._json(line, name) for line in self.member(name).splitlines()]

    def _block(self, number: int) -> bytes:
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        block = self._blocks[number] = self.member(f"blocks/{number}.xz")
        while len(self._blocks) > 1 and sum(map(len, self._blocks.values())) > _HELD_BLOCKS_BYTES:
            self._blocks.popitem(last=False)
        return block

    def member(self, name: str) -> bytes:
        """A member, decompressed where it is compressed."""
        try:
            content = self._zip.read(name)  # checks size and CRC
            return _unpacked(content) if name.endswith(".xz") else content
        except (*MALFORMED, zipfile.BadZipFile, lzma.LZMAError, NotImplementedError, EOFError, OSError):
            raise self.damaged(name) from None

    def damaged(self, what: str) -> InputError:
        """The error to raise of a part that is not what it was."""
        return InputError(f"{self.path}: damaged at {what}; copy it again, or make it again")

    def _json(self, text: bytes, name: str) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise self.damaged(name) from None


def _unpacked(content: bytes) -> bytes:
    """Decompressed, as long as that does not fill the memory.

    Raises:
        ValueError, LZMAError: it is not whole, or too large.
    """
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ)
    unpacked = decompressor.decompress(content, _SMALL_BYTES + _MOST_TIMES * len(content))
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError("cut short, followed by something, or too large")
    return unpacked


def _place(*numbers: Any) -> tuple[int, int, int]:
    block, offset, size = map(operator.index, numbers)
    return block, offset, size
