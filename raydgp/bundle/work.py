"""The work folder of a bundle in the making: what is built is kept chunk by chunk, so that a kill costs one chunk."""

from __future__ import annotations

import json
import lzma
import os
import shutil
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from raydgp.bundle.format import Code, Kernel
from raydgp.errors import InputError, RaydgpError
from raydgp.records.lock import FileLock, Held

_PLAN = "plan.json"


class Chunk(BaseModel):
    """Kernels of one task that were built together, their layouts not yet looked up.

    Attributes:
        kernels: in the order of measuring.
        codes: where those codes are that no chunk before it has, all in the block of the chunk's number.
    """

    model_config = ConfigDict(frozen=True)

    kernels: tuple[Kernel, ...]
    codes: tuple[Code, ...]


class Work:
    """A folder beside the bundle, `<name>.work`, that one process at a time works in.

    Args:
        out: of the bundle.
        identity: of what is built, JSON-able: chunks of another plan are of no use.

    Raises:
        InputError: the folder is of another plan, or another process works in it, or it cannot be made.
    """

    def __init__(self, out: Path, identity: Any) -> None:
        self.folder = out.with_name(f"{out.name}.work")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.folder / "lock")
        except OSError as error:
            raise InputError(f"{self.folder}: {error.strerror or error}; choose another --out") from None
        except Held as held:
            raise InputError(f"{out} is being made: {held}") from None
        plan, text = self.folder / _PLAN, json.dumps(identity, sort_keys=True)
        if plan.exists() and plan.read_text() != text:
            self._lock.release()
            raise InputError(f"{self.folder} is of another plan or version; choose another --out, or delete it")
        self._write(plan, text.encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def chunk(self, number: int) -> Chunk | None:
        """What was kept of this number; None where nothing was, or not the whole of it."""
        try:
            chunk = Chunk.model_validate_json(lzma.decompress(self._path(number).read_bytes()))
        except (OSError, lzma.LZMAError, ValidationError):
            return None
        return chunk if not chunk.codes or self.block(number).is_file() else None

    def keep(self, number: int, chunk: Chunk, block: bytes) -> None:
        """Keeps a chunk with the block of its codes, compressed: whole, or not at all.

        Raises:
            RaydgpError: it cannot be written.
        """
        if chunk.codes:
            self._write(self.block(number), block)
        self._write(self._path(number), lzma.compress(chunk.model_dump_json().encode(), preset=1))

    def block(self, number: int) -> Path:
        """File of a block."""
        return self.folder / f"{number}.block.xz"

    def remove(self) -> None:
        """Deletes the folder: the bundle is there."""
        shutil.rmtree(self.folder)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number}.json.xz"

    def _write(self, path: Path, content: bytes) -> None:
        part = path.with_name(f"{path.name}.part")
        try:
            with open(part, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            raise RaydgpError(
                f"{path}: {error.strerror or error}; the same command goes on from what is kept"
            ) from None
