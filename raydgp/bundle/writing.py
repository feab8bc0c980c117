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

# Machine code of an instruction set of words of 16 or 4 bytes: contexts by position in a word pay.
_PRESET = 6 | lzma.PRESET_EXTREME


def compressed(content: bytes) -> bytes:
    """A member whose name ends with `.xz`."""
    return lzma.compress(content, lzma.FORMAT_XZ, filters=[{"id": lzma.FILTER_LZMA2, "preset": _PRESET}])


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
