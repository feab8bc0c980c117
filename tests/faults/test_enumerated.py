"""Every fault of a small run, one after the other: whatever fails or ends it, the same command gives the same run."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from raydgp.errors import JournalError
from raydgp.records import read, scan
from tests.support.processes import python
from tests.support.small_run import CALLS, TRIALS, SmallRun, asked, intercepted


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of a run that nobody disturbs."""
    journal = tmp_path_factory.mktemp("whole") / "journal.jsonl"
    SmallRun(journal)()
    assert len(set(asked(journal))) == TRIALS
    return journal


class Failing:
    """A system call of which one fails, and those after it if `stays`."""

    def __init__(self, at: int, number: int, stays: bool = False, partly: bool = False) -> None:
        self.at, self.number, self.stays, self.partly, self.calls = at, number, stays, partly, 0

    def __call__(self, system: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        self.calls += 1
        if self.calls == self.at or (self.stays and self.calls > self.at):
            if self.partly:  # it takes less than it is given; the fault comes with the rest
                self.partly, self.at = False, self.at + 1
                return system(arguments[0], arguments[1][: len(arguments[1]) // 2])
            raise OSError(self.number, os.strerror(self.number))
        return system(*arguments, **named)


def calls_of(name: str, journal: Path) -> int:
    counting = Failing(0, 0)
    with intercepted(name, counting):
        SmallRun(journal)()
    return counting.calls


def resumed(journal: Path) -> list[int]:
    SmallRun(journal)()
    found = scan(journal)
    assert not found.torn
    assert found.quarantined == []
    assert len(found.records) == TRIALS  # nothing is measured twice
    return asked(journal)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
@pytest.mark.parametrize("name", CALLS)
def test_every_call_on_the_journal_fails_once_or_for_good(whole: Path, tmp_path: Path, name: str, number: int) -> None:
    calls = calls_of(name, tmp_path / "counted")
    assert calls >= (TRIALS if name in ("write", "fsync") else 1)
    descriptors = psutil.Process().num_fds()
    for at in range(1, calls + 1):
        for stays in (False, True):
            journal = tmp_path / f"{at}-{stays}"
            run = SmallRun(journal)
            with intercepted(name, Failing(at, number, stays)), pytest.raises(JournalError, match=os.strerror(number)):
                run()
            kept = [record.measurement.index for record in read(journal)]
            assert set(run.told) <= set(kept)  # nothing was told that is not journalled
            assert kept == [record.measurement.index for record in read(whole)][: len(kept)]
            assert resumed(journal) == asked(whole)
    assert psutil.Process().num_fds() <= descriptors + 2  # of other tests' threads


@pytest.mark.parametrize("stays", [False, True])
def test_every_write_is_short_and_the_rest_of_it_fails(whole: Path, tmp_path: Path, stays: bool) -> None:
    for at in range(1, calls_of("write", tmp_path / "counted") + 1):
        journal = tmp_path / str(at)
        with intercepted("write", Failing(at, errno.ENOSPC, stays, partly=True)), pytest.raises(JournalError):
            SmallRun(journal)()
        assert not scan(journal).torn
        assert resumed(journal) == asked(whole)


def test_a_short_write_alone_is_no_fault(whole: Path, tmp_path: Path) -> None:
    def short(system: Callable[..., Any], fd: int, data: bytes) -> int:
        return int(system(fd, data[:100]))

    with intercepted("write", short):
        SmallRun(tmp_path / "journal.jsonl")()
    assert asked(tmp_path / "journal.jsonl") == asked(whole)


def test_ended_at_every_record_and_within_it_a_run_resumes_to_the_same(whole: Path, tmp_path: Path) -> None:
    lines = whole.read_bytes().splitlines(keepends=True)
    journal = tmp_path / "journal.jsonl"
    for complete in range(TRIALS + 1):
        following = lines[complete] if complete < TRIALS else b""
        for cut in sorted({0, 1, len(following) // 2, len(following) - 1} & set(range(len(following) + 1))):
            journal.write_bytes(b"".join(lines[:complete]) + following[:cut])
            assert resumed(journal) == asked(whole)


def test_whatever_record_is_damaged_it_alone_is_measured_again(whole: Path, tmp_path: Path) -> None:
    lines = whole.read_bytes().splitlines(keepends=True)
    journal = tmp_path / "journal.jsonl"
    for damaged in range(TRIALS):
        journal.write_bytes(b"".join([*lines[:damaged], b"x" + lines[damaged], *lines[damaged + 1 :]]))
        SmallRun(journal)()
        assert [entry.line for entry in scan(journal).quarantined] == [damaged + 1]
        assert len(scan(journal).records) == TRIALS
        assert asked(journal) == asked(whole)


def test_killed_at_every_system_call_a_run_resumes_to_the_same(whole: Path, tmp_path: Path) -> None:
    """By the kernel, in processes of their own: the lock, the half-written line and the file are what a kill leaves."""
    python("-m", "tests.support.small_run", str(tmp_path))
    *killed, last = sorted(int(file.name) for file in tmp_path.glob("[0-9]*") if file.suffix != ".lock")
    assert len(killed) > 2 * TRIALS
    assert asked(tmp_path / str(last)) == asked(whole)
    for at in killed:
        assert resumed(tmp_path / str(at)) == asked(whole)
