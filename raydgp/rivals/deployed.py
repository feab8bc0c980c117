"""A deployed model, run by TVM alone as whoever it was deployed for runs it."""

from __future__ import annotations

from pathlib import Path

from raydgp.models.folder import Library
from raydgp.models.machine import arrays
from raydgp.rivals.ways import Way


def deployed(way: str, source: str, kind: str, threads: int) -> Way:
    """The model of a folder, its parameters prepared; it has its number of threads from the environment."""
    model = Library(Path(source))
    arguments = model.prepare(model.inputs)
    return lambda: model.call(arguments), lambda out: list(arrays(out)), model.expected
