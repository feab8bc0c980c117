"""A bundle written: solid blocks of machine code, and the one file at the end."""

from __future__ import annotations

import json
import lzma
import os
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raydgp.bundle.format import POSITIONS

_LZMA: dict[str, int] = {"id": lzma.FILTER_LZMA2, "preset": 6 | lzma.PRESET_EXTREME}
_WORDS = {"pb": 4, "lp": 4, "lc": 0}  # contexts by position in 16 bytes, a GPU's instruction: cubins are 5 % smaller


def compressed(content: bytes, words: bool = False) -> bytes:
    """A member whose name ends with `.xz`.

    Args:
        words: whether it is instructions of 16 bytes, as in cubins.
    """
    return lzma.compress(content, lzma.FORMAT_XZ, filters=[_LZMA | (_WORDS if words else {})])


def lines(parts: Iterable[Any]) -> bytes:
    """JSON, one a line."""
    return b"".join(json.dumps(part, separators=(",", ":")).encode() + b"\n" for part in parts)


def sampled(reference: NDArray[np.float32]) -> bytes:
    """`Task.expected` of an output, not yet compressed."""
    flat = reference.astype("<f4").ravel()
    count = min(flat.size, POSITIONS)
    positions = np.arange(count, dtype="<i8") * flat.size // count
    return positions.tobytes() + flat[positions].tobytes()


def write(path: Path, members: Sequence[tuple[str, bytes | Path]]) -> None:
    """Writes a ZIP with these members, each its content or the file that has it: at once, or not at all.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(part, "xb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                for name, content in members:  # with one date for all, so that equal bundles are equal files
                    archive.writestr(
                        zipfile.ZipInfo(name), content if isinstance(content, bytes) else content.read_bytes()
                    )
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
