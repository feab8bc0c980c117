"""What a whole model may be given as, checked before anything that takes seconds to load. Loads no torch, no TVM."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from google.protobuf.message import DecodeError, Message

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
    """The same as long as importing a source gives the same: the digest of its files, or our version; else None.

    Weights in files of their own count, as ONNX's external data. Functions have no fingerprint, nor what is no model.
    """
    path = Path(source)
    if source.removeprefix("zoo:") in NAMES:
        return f"raydgp {raydgp.__version__}"
    if path.suffix.lower() not in FILES or not path.is_file():
        return None
    digest = hashlib.sha256()
    for each in (path, *_beside(path)):
        with each.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _beside(path: Path) -> list[Path]:
    """The files in which an ONNX file's tensors are, as far as it may read them: those in its own folder."""
    if path.suffix.lower() != ".onnx":
        return []
    from onnx import load  # takes a moment

    with suppress(DecodeError):
        folder = path.parent.resolve()
        found = sorted({(folder / place).resolve() for place in _locations(load(path, load_external_data=False))})
        return [each for each in found if each.is_relative_to(folder) and each.is_file()]
    return []


def _locations(message: Message) -> Iterator[str]:
    """Of all tensors within a part of a model, wherever they are."""
    for field, value in message.ListFields():
        if field.name == "external_data":
            yield from (entry.value for entry in value if entry.key == "location")
        elif field.message_type:
            for part in value if field.is_repeated else [value]:
                yield from _locations(part)
