"""How a run of the runner ends before all is measured, and how the next one goes on."""

import json
import os
import signal
import time

import psutil
import pytest

from raydgp.settings import MeasureSettings
from tests.support.bundles import bundle, hostile_tasks, results, run, start
from tests.support.hostile_kernels import HANG

SLOW = "out[0] = right; usleep(3000);"  # /*n*/ behind it makes another kernel of it
PATIENT = MeasureSettings(min_repeat_ms=1, run_timeout_s=30)


@pytest.fixture(scope="module")
def slow(target, tmp_path_factory):
    """A bundle of ten kernels in two tasks, each timed for a tenth of a second."""
    tasks = hostile_tasks(*[[f"{SLOW}calls += {10 * task + n};" for n in range(5)] for task in range(2)])
    path = tmp_path_factory.mktemp("slow") / "x.bundle"
    return bundle(path, tasks, target, MeasureSettings(min_repeat_ms=20), ("warm", "rotated"))


@pytest.fixture(scope="module")
def short(target, tmp_path_factory):
    """A bundle of four kernels."""
    tasks = hostile_tasks(["out[0] = right;", "out[0] = right + 0.0f;"], ["out[0] = 0 + right;", "out[0] = 1 * right;"])
    return bundle(tmp_path_factory.mktemp("short") / "x.bundle", tasks, target)


def wait_for_lines(path, count, seconds=30):
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.01)
    raise AssertionError(f"{path} has no {count} lines")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_stopped_in_the_middle_the_same_command_goes_on(number, slow, tmp_path):
    path, out = slow, tmp_path / "r.jsonl"
    process = start(path, out, 1)
    wait_for_lines(out, 6)
    children = psutil.Process(process.pid).children()
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == (-9 if number == signal.SIGKILL else 1)
    if number != signal.SIGKILL:
        assert "stopped" in said.splitlines()[-1]
        assert "Traceback" not in said
    assert children
    assert not psutil.wait_procs(children, timeout=5)[1]
    kept = out.read_bytes()
    assert kept.count(b"\n") < 21
    code, said = run(path, out)
    assert code == 0
    assert "10 of 10 kernels" in said
    assert out.read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    _, lines, anchors = results(out)
    found = [(line["task"], line["place"], line["caches"]) for line in lines]
    assert len(set(found)) == len(found) == 20
    assert all(line["status"] == "ok" for line in lines)
    assert {line["anchor"] for line in anchors} == {0, 1}
    assert run(path, out)[0] == 0  # nothing is left to do
    assert results(out)[1] == lines


def test_the_budget_is_kept_whatever_hangs(target, tmp_path):
    bodies = ["out[0] = right;", *(f"calls += {n}; {HANG}" for n in range(8))]
    path = bundle(tmp_path / "x.bundle", hostile_tasks(bodies), target, MeasureSettings(run_timeout_s=1.5))
    began = time.monotonic()
    code, said = run(path, tmp_path / "r.jsonl", minutes=4 / 60)
    assert code == 0
    assert time.monotonic() - began < 4 + 3
    _, lines, _ = results(tmp_path / "r.jsonl")
    assert [line["status"] for line in lines[:2]] == ["ok", "run_timeout"]
    assert len(lines) < 5
    assert "run_timeout" in said
    assert "of 9 kernels" in said


def test_a_kernel_slower_than_the_budget_is_left_for_the_next_run(target, tmp_path):
    path = bundle(tmp_path / "x.bundle", hostile_tasks([f"sleep(2); {SLOW}"]), target, PATIENT)
    assert run(path, tmp_path / "r.jsonl", minutes=1.5 / 60)[0] == 0
    assert results(tmp_path / "r.jsonl")[1] == []


def test_no_kernels(target, tmp_path):
    path = bundle(tmp_path / "x.bundle", hostile_tasks([], []), target)
    code, said = run(path, tmp_path / "r.jsonl")
    assert code == 0
    assert "0 of 0 kernels" in said
    assert results(tmp_path / "r.jsonl")[1:] == ([], [])


def test_kernels_that_were_not_built_are_left_out(target, tmp_path):
    tasks = hostile_tasks(["out[0] = right;", "out[0] = right + 0;"])
    tasks[0].lines[0][1].update(status="build_error", error="as it is")
    tasks[0].default = None
    path = bundle(tmp_path / "x.bundle", tasks, target)
    assert run(path, tmp_path / "r.jsonl")[0] == 0
    assert [line["place"] for line in results(tmp_path / "r.jsonl")[1]] == [1]


def test_two_runners_do_not_write_to_one_file(slow, tmp_path):
    path, out = slow, tmp_path / "r.jsonl"
    process = start(path, out, 1)
    try:
        wait_for_lines(out, 2)
        code, said = run(path, out)
        assert code == 2
        assert "another runner writes to it" in said
    finally:
        process.terminate()
        process.communicate()


def test_a_torn_last_line_is_cut_and_measured_again(short, tmp_path):
    path, out = short, tmp_path / "r.jsonl"
    assert run(path, out)[0] == 0
    whole = out.read_bytes()
    out.write_bytes(whole[:-40])
    assert run(path, out)[0] == 0
    text = out.read_bytes()
    assert text.startswith(whole[: whole[:-1].rfind(b"\n") + 1])
    assert len(results(out)[1]) == 4


def test_what_is_not_the_same_is_refused_in_one_line(short, tmp_path):
    path, out = short, tmp_path / "r.jsonl"
    assert run(path, out)[0] == 0
    header, *lines = out.read_text().splitlines()
    said = json.loads(header)
    changed = {
        "another bundle": {**said, "bundle": "0" * 64},
        "another device": {**said, "device": {**said["device"], "name": "Other"}},
        "of format 7": {**said, "results": 7},
    }
    for what, first in changed.items():
        out.write_text("\n".join([json.dumps(first), *lines]) + "\n")
        before = out.read_bytes()
        code, text = run(path, out)
        assert (code, len(text.splitlines())) == (2, 1), text
        assert what in text
        assert out.read_bytes() == before
    out.write_text("\n".join([header, "nonsense", *lines]) + "\n")
    code, text = run(path, out)
    assert code == 2
    assert "line 2: not a result" in text


def test_an_output_that_cannot_be_written_is_refused(target, tmp_path):
    path = bundle(tmp_path / "x.bundle", hostile_tasks(["out[0] = right;"]), target)
    code, said = run(path, tmp_path / "none" / "r.jsonl")
    assert code == 2
    assert "No such file" in said
    assert len(said.splitlines()) == 1
    assert not os.path.exists(tmp_path / "none")
