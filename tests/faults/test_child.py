"""Hostile kernels and hostile circumstances against one supervisor, all of them real processes."""

import os
import signal
import subprocess
import tempfile
import threading
import time

import psutil
import pytest

from raydgp.errors import InputError
from raydgp.records import Status
from raydgp.run.supervisor import Supervisor
from tests.support.hostile_kernels import FOREVER, HANG, QUICK, SETTINGS, SPACE, children, gone, hostile
from tests.support.processes import environment, start_python


@pytest.fixture(scope="module")
def sound():
    return hostile("out[0] = right;")


@pytest.fixture(scope="module")
def shared():
    with Supervisor(threads=1) as supervisor:
        yield supervisor


@pytest.fixture
def supervisor(shared, sound):
    """The same one for all faults; after each of them the next configuration is measured."""
    yield shared
    result = shared.run(SPACE, SPACE.default, sound, SETTINGS)
    assert result.status is Status.OK, result
    assert len(result.times_s) == SETTINGS.repeat
    assert all(time_s > 0 for time_s in result.times_s)


def eventually(condition) -> bool:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


CRASHES = {
    "segfault": ("*(volatile int *)8 = 1;", "SIGSEGV"),
    "abort": ("abort();", "SIGABRT"),
    "killed": ("kill(getpid(), SIGKILL);", "SIGKILL"),
    "exit 0": ("exit(0);", "exited with code 0 without a result"),
    "_exit 0": ("_exit(0);", "exited with code 0 without a result"),
    "exit 3": ("_exit(3);", "exited with code 3"),
    "in the timing": ("out[0] = right; if (calls == 3) abort();", "SIGABRT"),
    "writes into every file": ("for (int f = 0; f < 64; f++) write(f, data - 64, 512);", "channel"),
    "raises": ('TVMFFIErrorSetRaisedFromCStr("ValueError", "no\\nsuch\\nluck"); return -1;', "no such luck"),
}


@pytest.mark.parametrize("name", CRASHES)
def test_a_kernel_that_dies_is_a_run_error_that_says_how(supervisor, name):
    body, reason = CRASHES[name]
    result = supervisor.run(SPACE, SPACE.default, hostile(body), SETTINGS)
    assert (result.status, result.times_s) == (Status.RUN_ERROR, ())
    assert reason in result.error
    assert "\n" not in result.error


def test_a_kernel_that_hangs_and_blocks_every_signal_is_killed_at_its_limit(supervisor):
    result = supervisor.run(SPACE, SPACE.default, hostile(HANG), QUICK)
    assert (result.status, result.times_s) == (Status.RUN_TIMEOUT, ())
    assert "0.7 s" in result.error
    assert result.run_s >= 0.7


def test_half_a_message_of_a_kernel_does_not_stop_the_clock(supervisor):
    half = "char half[16] = {'r', 'd', 'g', 'p', 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 0};"  # of 2 and of 256 bytes
    result = supervisor.run(
        SPACE, SPACE.default, hostile(f"{half} for (int f = 3; f < 64; f++) write(f, half, 16); {HANG}"), QUICK
    )
    assert (result.status, result.times_s) == (Status.RUN_TIMEOUT, ())


def test_what_a_kernel_forked_dies_with_it(supervisor, tmp_path):
    note = tmp_path / "pid"
    write = f'FILE *f = fopen("{note}", "w"); fprintf(f, "%d", getpid()); fclose(f);'
    result = supervisor.run(SPACE, SPACE.default, hostile(f"if (fork() == 0) {{ {write} {HANG} }} _exit(0);"), SETTINGS)
    assert result.status is Status.RUN_ERROR
    if note.exists():  # else it was killed before its first word
        assert eventually(lambda: gone(int(note.read_text())))


WRONG = {
    "leaves the output as it was": ("", "NaN"),
    "zero": ("out[0] = 0;", "relative error 1 "),
    "NaN": ("out[0] = NAN;", "NaN"),
    "infinite": ("out[0] = INFINITY;", "infinite"),
    "nearly right": ("out[0] = right * 1.01f;", "relative error 0.01 "),
    "adds to the output": ("out[0] = isnan(out[0]) ? right : out[0] + right;", "after the timing"),
    "right only the first time": ("out[0] = calls == 1 ? right : 0;", "after the timing"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_kernel_cannot_win_however_fast_it_is(supervisor, name):
    body, reason = WRONG[name]
    result = supervisor.run(SPACE, SPACE.default, hostile(body), SETTINGS)
    assert (result.status, result.times_s) == (Status.WRONG_ANSWER, ())
    assert reason in result.error


def test_a_kernel_within_the_tolerance_is_right(supervisor):
    assert supervisor.run(SPACE, SPACE.default, hostile("out[0] = right * 1.0005f;"), SETTINGS).status is Status.OK


def test_a_kernel_may_print_and_close_the_standard_streams(supervisor):
    body = 'for (int i = 0; i < 1000; i++) { puts("rdgp"); fputs("rdgp", stderr); } fflush(0); close(1); close(2);'
    assert supervisor.run(SPACE, SPACE.default, hostile(f"out[0] = right; {body}"), SETTINGS).status is Status.OK


@pytest.mark.parametrize("library", [b"\x7fELF", b"not a library", bytes(5000)])
def test_what_is_no_library_is_a_run_error(supervisor, library):
    assert supervisor.run(SPACE, SPACE.default, library, SETTINGS).status is Status.RUN_ERROR


def test_a_library_is_never_taken_for_the_one_before(supervisor, sound):
    assert supervisor.run(SPACE, SPACE.default, sound, SETTINGS).status is Status.OK
    assert supervisor.run(SPACE, SPACE.default, hostile("out[0] = 0;"), SETTINGS).status is Status.WRONG_ANSWER


def running() -> psutil.Process:
    return max(children(), key=lambda process: sum(process.cpu_times()[:2]))


def test_a_child_killed_while_it_runs_a_kernel_is_a_run_error(supervisor):
    killer = threading.Timer(1.0, lambda: running().kill())
    killer.start()
    result = supervisor.run(SPACE, SPACE.default, hostile("sleep(1000);"), SETTINGS)
    killer.join()
    assert (result.status, result.error) == (Status.RUN_ERROR, "killed by SIGKILL (out of memory?)")


def test_children_killed_while_idle_cost_no_configuration(supervisor):
    killed = children()
    for child in killed:
        child.kill()
    assert all(eventually(lambda child=child: gone(child.pid)) for child in killed)


def test_ctrl_c_reaches_the_parent_alone_and_ends_the_kernel(supervisor):
    assert all(os.getsid(child.pid) == child.pid for child in children())
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        supervisor.run(SPACE, SPACE.default, hostile(HANG), FOREVER)


def test_runs_leak_no_files_nor_memory_maps(supervisor, sound):
    def held() -> list[int]:
        child = running()
        return [psutil.Process().num_fds(), child.num_fds(), len(child.memory_maps(grouped=False)), len(children())]

    for _ in range(5):
        supervisor.run(SPACE, SPACE.default, sound, SETTINGS)
    before = held()
    for _ in range(40):
        supervisor.run(SPACE, SPACE.default, sound, SETTINGS)
    assert all(after <= at_first + 10 for at_first, after in zip(before, held(), strict=True))


def test_faults_leak_no_files_and_close_leaves_nothing(sound, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    crash, held = hostile("abort();"), []
    for _ in range(4):
        with Supervisor(threads=1) as supervisor:
            assert supervisor.run(SPACE, SPACE.default, crash, SETTINGS).status is Status.RUN_ERROR
            assert supervisor.run(SPACE, SPACE.default, sound, SETTINGS).status is Status.OK
            mine = {child.pid for child in psutil.Process().children()}
        supervisor.close()
        held.append(psutil.Process().num_fds())
    assert held[-1] - held[0] < 3  # of three lives; what other tests left in this process comes and goes by one or two
    assert list(tmp_path.iterdir()) == []
    assert len([pid for pid in mine if not gone(pid)]) <= 2  # those of the module's own supervisor


PARENT = """
import sys
from raydgp.run.supervisor import Supervisor
from tests.support.hostile_kernels import FOREVER, HANG, SPACE, children, hostile
kernel = hostile(HANG)
supervisor = Supervisor(threads=1)
while not children():  # between fork and exec it still looks like its parent
    pass
print("started", flush=True)
if sys.argv[1:] == ["busy"]:
    supervisor.run(SPACE, SPACE.default, kernel, FOREVER)
input()
"""


@pytest.mark.parametrize("busy", [False, True])
def test_no_child_outlives_a_killed_parent(busy, tmp_path):
    arguments = ["-c", PARENT, *(["busy"] if busy else [])]
    with start_python(*arguments, stdin=subprocess.PIPE, env=environment(TMPDIR=str(tmp_path))) as parent:
        assert parent.stdout
        assert parent.stdout.readline().strip()
        if busy:
            assert eventually(lambda: len(psutil.Process(parent.pid).children()) == 2)  # the kernel's and the spare
            time.sleep(1.0)
        pids = [child.pid for child in psutil.Process(parent.pid).children()]
        parent.kill()
    assert pids
    for pid in pids:
        assert eventually(lambda pid=pid: gone(pid)), f"{pid} is an orphan"


def test_more_threads_than_processors_are_refused():
    with pytest.raises(InputError, match="threads=2, but this runner has 1 cores"):
        Supervisor(threads=2, cpus=[0])


def test_a_forgotten_supervisor_ends_its_children(sound):
    others = set(children())
    supervisor = Supervisor(threads=1)
    supervisor.run(SPACE, SPACE.default, sound, SETTINGS)
    mine = set(children()) - others
    assert len(mine) == 2  # the one that ran it and the spare
    del supervisor
    assert not mine & set(children())


def test_a_forked_process_ends_nothing_of_its_parent(supervisor, sound):
    supervisor.run(SPACE, SPACE.default, sound, SETTINGS)
    before = children()
    pid = os.fork()
    if pid == 0:
        supervisor.close()
        os._exit(0)
    os.waitpid(pid, 0)
    assert before
    assert children() == before
