"""A bundle as the runner reads it: a ZIP of JSON and compressed bytes, all of it checked before it is used."""

from __future__ import annotations

import hashlib
import json
import lzma
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

from raydgp.errors import InputError

FORMAT = 1
_HELD_BLOCKS_BYTES = 1 << 29  # of decompressed machine code, so that tasks can take turns


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
        try:
            self._zip = zipfile.ZipFile(path)
            text = self._zip.read("bundle.json")
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; `raydgp bundle make` makes one") from None
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}; give a bundle's file") from None
        except (zipfile.BadZipFile, KeyError):
            raise InputError(f"{path}: not a bundle, or cut short; copy it again") from None
        self.digest = hashlib.sha256(text).hexdigest()
        self.header: dict[str, Any] = self._json(text, "bundle.json")
        if self.header.get("format") != FORMAT:
            raise InputError(f"{path}: format {self.header.get('format')!r}, and this runner reads {FORMAT}")
        self._codes: dict[str, tuple[int, int, int]] = {}
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    @property
    def tasks(self) -> list[dict[str, Any]]:
        tasks: list[dict[str, Any]] = self.header["tasks"]
        return tasks

    def kernels(self, task: int) -> list[dict[str, Any]]:
        """The kernels of a task in the order of measuring, also those that were not built."""
        name = self.tasks[task]["kernels"]
        return [self._json(line, name) for line in self._member(name).splitlines()]

    def expected(self, task: int) -> bytes:
        """Positions of the flat output in int64, then its values there in float32."""
        return self._member(self.tasks[task]["expected"])

    def runtime(self) -> dict[str, bytes]:
        """Libraries by file name."""
        return {file: self._member(name) for file, name in self.header["runtime"].items()}

    def code(self, digest: str) -> bytes:
        """The machine code of a kernel by its SHA-256."""
        if not self._codes:
            for line in self._member("codes.jsonl.xz").splitlines():
                entry = self._json(line, "codes.jsonl.xz")
                self._codes[entry["code"]] = entry["block"], entry["offset"], entry["size"]
        if digest not in self._codes:
            raise self._damaged(f"no code {digest[:12]}")
        block, offset, size = self._codes[digest]
        code = self._block(block)[offset : offset + size]
        if hashlib.sha256(code).hexdigest() != digest:
            raise self._damaged(f"code {digest[:12]} of block {block}")
        return code

    def _block(self, number: int) -> bytes:
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        block = self._blocks[number] = self._member(f"blocks/{number}.xz")
        while len(self._blocks) > 1 and sum(map(len, self._blocks.values())) > _HELD_BLOCKS_BYTES:
            self._blocks.popitem(last=False)
        return block

    def _member(self, name: str) -> bytes:
        try:
            content = self._zip.read(name)
            return lzma.decompress(content) if name.endswith(".xz") else content
        except (KeyError, zipfile.BadZipFile, lzma.LZMAError, NotImplementedError, EOFError, OSError):
            raise self._damaged(name) from None

    def _json(self, text: bytes, name: str) -> Any:
        try:
            return json.loads(text)
        except ValueError:
            raise self._damaged(name) from None

    def _damaged(self, what: str) -> InputError:
        return InputError(f"{self.path}: damaged in {what}; copy it again, or make it again")
