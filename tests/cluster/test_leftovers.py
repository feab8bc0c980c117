"""Temporary folders: those of the living are kept, those of the dead removed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from raydgp.cluster import leftovers
from tests.support.processes import start_python

HOLD = """
import sys, time
from pathlib import Path
from raydgp.cluster.leftovers import mark
held = mark(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


def test_what_a_killed_process_leaves_is_removed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ray = tmp_path / "ray"
    session, tune = ray / "session_1", tmp_path / "raydgp-tune-a"
    foreign, results = ray / "session_of_another", tmp_path / "raydgp-results"  # both without a mark
    for folder in (session, tune, foreign, results):
        folder.mkdir(parents=True)
        (folder / "file").touch()
    os.utime(results, (0, 0))
    kept = leftovers.mark(tune)
    os.utime(tune / "raydgp.lock", (0, 0))
    with start_python("-c", HOLD, str(session)) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        os.utime(session / "raydgp.lock", (0, 0))
        assert leftovers.clean(ray) == []
        holder.kill()
    assert leftovers.clean(ray) == [session]
    kept.release()
    assert leftovers.clean(ray) == [tune]
    assert [path.name for path in ray.iterdir()] == ["session_of_another"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ray", "raydgp-results"]
