"""The journal under crashes, bit flips, full disks and a second writer."""

import errno
import os
import resource
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from raydgp.errors import InputError, JournalError
from raydgp.records import Journal, read, scan
from raydgp.records.history import known
from raydgp.records.journal import decode, encode
from tests.support.journals import record
from tests.support.processes import start_python

HOLD = """
import sys, time
from pathlib import Path
from raydgp.records import Journal
journal = Journal(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


def indices(path: Path) -> list[int]:
    return [r.measurement.index for r in read(path)]


# --- 9: torn tails


def test_cut_at_every_byte_of_the_last_three_records(tmp_path: Path) -> None:
    lines = [encode(record(i)) for i in range(6)]
    whole = b"".join(lines)
    path = tmp_path / "journal.jsonl"
    for cut in range(len(b"".join(lines[:3])), len(whole) + 1):
        path.write_bytes(whole[:cut])
        complete = whole[:cut].count(b"\n")
        torn = not whole[:cut].endswith(b"\n")
        assert indices(path) == list(range(complete))
        assert scan(path).torn == torn
        with Journal(path) as journal:
            journal.append([record(9)])
        result = scan(path)
        assert [r.measurement.index for r in result.records] == [*range(complete), 9]
        assert (result.quarantined, result.torn) == ([], False)


def test_a_tail_of_zeros_as_after_a_power_cut(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(encode(record(0)) + bytes(4096))
    with Journal(path) as journal:
        journal.append([record(1)])
    assert indices(path) == [0, 1]
    assert scan(path).quarantined == []


def test_a_writer_killed_at_any_moment_loses_nothing_it_was_told_is_kept(tmp_path: Path) -> None:
    script = HOLD.replace(
        'print("held", flush=True)\ntime.sleep(600)',
        "from tests.support.journals import record\n"
        "for i in range(10**6):\n    journal.append([record(i)])\n    print(i, flush=True)",
    )
    path = tmp_path / "journal.jsonl"
    acknowledged = -1
    for wanted in (3, 7):
        path.unlink(missing_ok=True)
        with start_python("-c", script, str(path)) as writer:
            assert writer.stdout
            for line in writer.stdout:
                acknowledged = int(line)
                if acknowledged == wanted:
                    break
            writer.kill()
            acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
        with Journal(path):
            kept = indices(path)
        assert kept == list(range(len(kept)))
        assert len(kept) >= acknowledged + 1


# --- 10: bit flips


def flipped(line: bytes, bit: int) -> bytes:
    damaged = bytearray(line)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def test_every_flipped_bit_of_a_record_is_noticed() -> None:
    line = encode(record(1))
    for bit in range(8 * len(line)):
        with pytest.raises(InputError, match="bad checksum"):
            decode(flipped(line, bit))


def test_a_flipped_bit_costs_its_own_record_only(tmp_path: Path) -> None:
    lines = [encode(record(i)) for i in range(3)]
    path = tmp_path / "journal.jsonl"
    for bit in range(0, 8 * (len(lines[1]) - 1), 31):
        damaged = flipped(lines[1], bit)
        path.write_bytes(lines[0] + damaged + lines[2])
        result = scan(path)
        assert [r.measurement.index for r in result.records] == [0, 2]
        split_in_two = damaged.count(b"\n") > 1
        assert [q.line for q in result.quarantined] == ([2, 3] if split_in_two else [2])


def test_damage_in_the_middle_does_not_stop_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(encode(record(0)) + b'{"damaged": true}\n' + encode(record(2)))
    with Journal(path) as journal:
        journal.append([record(3)])
    assert indices(path) == [0, 2, 3]
    assert [q.line for q in scan(path).quarantined] == [2]


# --- 11: full disks and I/O errors


class Failing:
    """Stands in for a system call on the journal: the n-th call fails, and all after it when `stays`."""

    def __init__(self, call: Callable[..., int | None], n: int, number: int, stays: bool, partly: bool = False) -> None:
        self.call, self.n, self.number, self.stays, self.partly, self.calls = call, n, number, stays, partly, 0

    def __call__(self, fd: int, *args: bytes | int) -> int | None:
        self.calls += 1
        if self.calls == self.n or (self.stays and self.calls > self.n):
            if self.partly and isinstance(args[0], bytes):
                self.partly = False
                self.n += 1  # a short write first; the error comes with the rest
                return self.call(fd, args[0][: len(args[0]) * 2 // 3])
            raise OSError(self.number, os.strerror(self.number))
        return self.call(fd, *args)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("partly", [False, True])
@pytest.mark.parametrize("n", range(1, 6))
def test_a_failed_write_leaves_the_earlier_records_and_a_usable_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, partly: bool, n: int
) -> None:
    path = tmp_path / "journal.jsonl"
    told: list[int] = []
    with Journal(path) as journal:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", Failing(os.write, n, number, stays=False, partly=partly))
            for i in range(0, 10, 2):
                with suppress(JournalError):
                    journal.append([record(i), record(i + 1)])
                    told += [i, i + 1]
                assert indices(path) == told
        assert len(told) == 8
        assert indices(path) == told
        journal.append([record(99)])
    assert indices(path) == [*told, 99]
    assert scan(path).quarantined == []


@pytest.mark.parametrize("n", range(1, 4))
def test_a_failed_fsync_is_an_error_and_nothing_of_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int
) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        monkeypatch.setattr(os, "fsync", Failing(os.fsync, n, errno.EIO, stays=True))
        for i in range(n - 1):
            journal.append([record(i)])
        for i in range(n - 1, 4):
            with pytest.raises(JournalError):
                journal.append([record(i)])
        assert indices(path) == list(range(n - 1))


def test_when_even_cutting_off_fails_the_next_append_does_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append([record(0)])
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", Failing(os.write, 1, errno.ENOSPC, stays=True, partly=True))
            patch.setattr(os, "ftruncate", Failing(os.ftruncate, 1, errno.EIO, stays=True))
            for _ in range(2):
                with pytest.raises(JournalError):
                    journal.append([record(1)])
        assert indices(path) == [0]
        journal.append([record(2)])
    assert indices(path) == [0, 2]
    assert scan(path).quarantined == []


def test_a_real_limit_on_the_file_size(tmp_path: Path) -> None:
    """The kernel itself refuses, in the middle of a record."""
    path = tmp_path / "journal.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with Journal(path) as journal:
            resource.setrlimit(resource.RLIMIT_FSIZE, (3 * len(encode(record(0))) + 50, hard))
            for i in range(3):
                journal.append([record(i)])
            with pytest.raises(JournalError, match="File too large; earlier records are intact"):
                journal.append([record(3)])
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert indices(path) == [0, 1, 2]
            journal.append([record(3)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert indices(path) == [0, 1, 2, 3]


def test_a_path_that_cannot_be_a_journal(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="folder that can be written"):
        Journal(tmp_path / "file" / "journal.jsonl")
    (tmp_path / "folder").mkdir()
    for _ in range(2):  # the lock of a failed opening is free again
        with pytest.raises(JournalError, match="file that can be written"):
            Journal(tmp_path / "folder")


# --- 12: two writers


def test_a_second_writer_is_told_who_holds_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        with pytest.raises(JournalError, match=f"process {os.getpid()} on {socket.gethostname()}"):
            Journal(path)
        journal.append([record(0)])
    with Journal(path) as journal:
        journal.append([record(1)])
    assert indices(path) == [0, 1]


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with start_python("-c", HOLD, str(path)) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(JournalError, match=f"process {holder.pid} on"):
            Journal(path)
        holder.kill()
        holder.wait()
    with Journal(path) as journal:
        journal.append([record(0)])
    assert indices(path) == [0]


def test_a_lock_kept_by_the_child_of_a_dead_writer_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    script = HOLD.replace(
        'print("held", flush=True)',
        "import os; child = os.fork()\nif child: os._exit(0)\nprint(os.getpid(), flush=True)",
    )
    with start_python("-c", script, str(path)) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        parent.wait()
        try:
            with pytest.raises(JournalError, match=rf"process {parent.pid} .* is gone: a process that it started"):
                Journal(path)
        finally:
            psutil.Process(child).kill()


# --- 21: clock jumps


def test_a_clock_that_jumps_back_changes_neither_order_nor_what_counts(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    records = [record(i, time_unix_s=1e9 - 1e6 * i) for i in range(4)]
    with Journal(path) as journal:
        journal.append(records)
    assert indices(path) == [0, 1, 2, 3]
    assert list(known(read(path), "h")) == [0, 1, 2, 3]
