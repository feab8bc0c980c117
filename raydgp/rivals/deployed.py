"""A deployed model, run by TVM alone as whoever it was deployed for runs it."""

from __future__ import annotations

from pathlib import Path

from raydgp.models.folder import Library
from raydgp.models.machine import arrays
from raydgp.rivals.ways import Way


def deployed(way: str, source: str, target: str, threads: int) -> Way:
    """The model of a folder, its parameters prepared; it has its number of threads from the environment.

    Args:
        source: the folder; after a `#` which of its sizes, the first by default.
    """
    folder, _, size = source.partition("#")
    model = Library(Path(folder))
    inputs, expected = model.samples[int(size or 0)]
    prepared = model.prepare(inputs)
    return lambda: model.call(prepared), lambda out: list(arrays(out)), expected
