"""What a whole model may be given as, checked before anything that takes seconds to load. Loads no torch, no TVM."""

from __future__ import annotations

import hashlib
from pathlib import Path

import raydgp
from raydgp.errors import InputError, nearest
from raydgp.workloads.zoo import NETWORKS

NAMES = (*NETWORKS, "resnet50", "transformer_block")
FILES = (".pt2", ".onnx")


def check(source: str) -> None:
    """Whether a source is one of `NAMES` (`zoo:` may stand before it), a file, or `module:function`.

    Raises:
        InputError: it is none of these; names the nearest.
    """
    path, name = Path(source), source.removeprefix("zoo:")
    if name in NAMES:
        return
    if path.suffix.lower() in FILES:
        if not path.is_file():
            raise InputError(f"{source}: no such file")
    elif ":" not in source or source.startswith("zoo:"):
        raise InputError(
            f"unknown model {name!r}: give a .pt2 or .onnx file, module:function or a network{nearest(name, NAMES)}"
        )


def fingerprint(source: str) -> str | None:
    """The same as long as importing a source gives the same: its file's digest, or our version; None for a function."""
    path = Path(source)
    if source.removeprefix("zoo:") in NAMES:
        return f"raydgp {raydgp.__version__}"
    if path.suffix.lower() not in FILES or not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
