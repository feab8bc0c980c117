"""CPU kernels measured by the runner: real ones, and such as crash, hang or lie."""

import time
from typing import Any

import numpy as np
import psutil
import pytest

from raydgp import Conv2d, config_space
from raydgp.records import Status
from raydgp.settings import MeasureSettings
from raydgp.templates.registry import template_named
from tests.support.bundles import Kernels, bundle, hostile_tasks, results, run
from tests.support.hostile_kernels import HANG
from tests.support.kernels import build

MANY = 20_000  # elements of an output that a bundle has a sample of
FILL = f"for (int i = 0; i < {MANY}; ++i) out[i] = data[0] * weight[i];"


def statuses(lines, task=0):
    return [line["status"] for line in lines if line["task"] == task]


@pytest.fixture(scope="module")
def conv(target):
    """Real kernels of a small convolution, each of another layout."""
    workload = Conv2d(n=1, ci=16, h=14, w=14, co=24, kh=3, kw=3, padding=(1, 1))
    space, task = config_space(workload, "llvm"), Kernels("conv", workload)
    template: Any = template_named(space.template)
    for index in map(int, (space.default, *space.sample_valid(4, np.random.default_rng(1)))):
        knobs = space.decode(index)
        layouts = [layout.steps for layout in template.layouts(workload, knobs)]
        out = template.out_layout(workload, knobs).steps
        task.add(build(space, index, target), layouts, out, template.out_shape(workload, knobs), index)
    return task


def test_real_kernels_are_right_and_timed(conv, target, tmp_path):
    path = bundle(tmp_path / "x.bundle", [conv], target, MeasureSettings(min_repeat_ms=2), ("warm", "rotated"))
    assert run(path, tmp_path / "r.jsonl")[0] == 0
    header, lines, anchors = results(tmp_path / "r.jsonl")
    assert header["device"] == target.behaviour.device(target, 1)
    assert [(line["place"], line["caches"]) for line in lines] == [
        (p, c) for p in range(5) for c in ("warm", "rotated")
    ]
    assert [line["index"] for line in lines[::2]] == [line["index"] for _, line in conv.lines]
    for line in lines:
        assert line["status"] == "ok"
        assert line["error"] == ""
        assert len(line["times_s"]) == 3
        assert all(1e-7 < t < 0.1 for t in line["times_s"])
        assert 0 < line["overhead_s"] < line["run_s"] + 0.1
        assert abs(line["time_unix_s"] - time.time()) < 60
    assert not anchors


def test_statuses_are_those_of_records(target, tmp_path):
    right = "out[0] = right;"
    bodies = [
        right,
        "*(volatile int *)8 = 0;",
        HANG,
        "out[0] = right + 1;",
        "out[0] = NAN;",
        "",
        "out[0] = calls < 3 ? right : right + 1;",
        "_exit(3);",
        right + "/* the last one */",
    ]
    path = bundle(tmp_path / "x.bundle", hostile_tasks(bodies), target)
    code, said = run(path, tmp_path / "r.jsonl")
    assert code == 0
    assert "9 of 9 kernels, failed:" in said
    _, lines, _ = results(tmp_path / "r.jsonl")
    wrong = ["wrong_answer"] * 4
    assert statuses(lines) == ["ok", "run_error", "run_timeout", *wrong, "run_error", "ok"]
    assert {line["status"] for line in lines} <= set(Status)
    assert "SIGSEGV" in lines[1]["error"]
    assert "within 2 s" in lines[2]["error"]
    assert "relative error" in lines[3]["error"]
    assert "NaN" in lines[4]["error"]
    assert "NaN" in lines[5]["error"]
    assert lines[6]["error"].startswith("after the timing: ")
    assert all(line["times_s"] == [] for line in lines[1:8])
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in (p.info["cmdline"] or [])]


def test_a_kernel_must_agree_with_the_default_where_the_sample_sees_nothing(target, tmp_path):
    hidden = FILL + " out[19999] += 1;"  # a position that no sample of 16384 from 20000 must have; see below
    task = hostile_tasks([FILL, hidden, FILL + "/**/"], elements=MANY)
    path = bundle(tmp_path / "x.bundle", task, target, sampled=lambda size: np.arange(0, size, 2))
    assert run(path, tmp_path / "r.jsonl")[0] == 0
    _, lines, _ = results(tmp_path / "r.jsonl")
    assert statuses(lines) == ["ok", "wrong_answer", "ok"]


@pytest.mark.parametrize("default", ["out[0] = 1;", HANG, "_exit(1);"])
def test_where_the_default_fails_the_first_right_kernel_is_the_reference(default, target, tmp_path):
    hidden = FILL + " out[19999] += 1;"
    task = hostile_tasks([default, FILL, hidden], elements=MANY)
    path = bundle(tmp_path / "x.bundle", task, target, sampled=lambda size: np.arange(0, size, 2))
    assert run(path, tmp_path / "r.jsonl")[0] == 0
    _, lines, _ = results(tmp_path / "r.jsonl")
    assert statuses(lines)[1:] == ["ok", "wrong_answer"]
    assert lines[0]["status"] != "ok"


def test_the_reference_outlives_the_child_and_the_run(target, tmp_path):
    hidden = FILL + " out[19999] += 1;"
    task = hostile_tasks([FILL, "_exit(1);", hidden, FILL + "/**/"], elements=MANY)
    path = bundle(tmp_path / "x.bundle", task, target, sampled=lambda size: np.arange(0, size, 2))
    out = tmp_path / "r.jsonl"
    assert run(path, out)[0] == 0
    whole = results(out)[1]
    assert statuses(whole) == ["ok", "run_error", "wrong_answer", "ok"]
    out.write_text("".join(line + "\n" for line in out.read_text().splitlines()[:3]))  # as if stopped behind the crash
    assert run(path, out)[0] == 0
    _, lines, anchors = results(out)
    assert statuses(lines) == statuses(whole)
    assert [line["anchor"] for line in anchors] == [0]
    assert anchors[0]["times_s"]


def test_a_processor_that_lacks_instructions_gets_no_results(target, tmp_path):
    path = bundle(tmp_path / "x.bundle", hostile_tasks(["__builtin_trap();", "out[0] = right;"]), target)
    code, said = run(path, tmp_path / "r.jsonl")
    assert code == 2
    assert "lacks instructions" in said.splitlines()[-1]
    assert results(tmp_path / "r.jsonl")[1] == []


def test_more_threads_than_cores_are_refused(target, tmp_path):
    path = bundle(tmp_path / "x.bundle", hostile_tasks([]), target, threads=4096)
    code, said = run(path, tmp_path / "r.jsonl")
    assert code == 2
    assert "made for 4096 threads" in said
    assert len(said.splitlines()) == 1


def test_a_library_without_a_kernel_is_an_error_of_it(target, tmp_path):
    tasks = hostile_tasks(["out[0] = right;"])
    tasks[0].add(b"no library at all", [[], []], [], (1, 1))
    path = bundle(tmp_path / "x.bundle", tasks, target)
    assert run(path, tmp_path / "r.jsonl")[0] == 0
    _, lines, _ = results(tmp_path / "r.jsonl")
    assert statuses(lines) == ["ok", "run_error"]
    assert lines[1]["error"]


def test_a_bundle_without_the_runtime_says_so(target, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.support.bundles.LIBRARIES", {})
    path = bundle(tmp_path / "x.bundle", hostile_tasks(["out[0] = right;"]), target)
    code, said = run(path, tmp_path / "r.jsonl")
    assert code == 2
    assert "carries no libtvm_ffi.so" in said
