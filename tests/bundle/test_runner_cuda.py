"""CUDA kernels through the driver's interface, on the stand-in of tests/support/fake_cuda."""

from collections import Counter

import numpy as np
import pytest

from raydgp.settings import MeasureSettings
from raydgp.targets import Target
from raydgp.templates.spaces import config_spaces
from tests.support import fake_cuda
from tests.support.bundles import Kernels, bundle, results, run
from tests.support.cuda_bundles import add_kernel, dense
from tests.support.cuda_cases import CUDA, SHAPES, TENSOR_CORES

PATIENT = MeasureSettings(min_repeat_ms=0, repeat=1, run_timeout_s=60)  # fibres are slow
QUICK = MeasureSettings(min_repeat_ms=0, repeat=2, run_timeout_s=3)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """A task whose kernels have names, for faults to find them."""
    return dense([f"kernel_{n}" for n in range(6)])


def statuses(out):
    return [line["status"] for line in results(out)[1]]


def test_kernels_of_all_kinds_are_right(driver, tmp_path):
    cases = {
        "winograd of 4": SHAPES,
        "uneven": SHAPES,
        "dense few rows": SHAPES,
        "tensor cores dense primes": TENSOR_CORES,
    }
    tasks = []
    for name, cases_of in cases.items():
        workload, kind = cases_of[name]
        wanted = {"direct": "", "winograd": "winograd", "tensor_core": "tensor_core"}[kind]
        space = next(space for space in config_spaces(workload, CUDA) if wanted in space.template)
        tasks.append(Kernels(name, workload))
        for index in space.sample_valid(1, np.random.default_rng(1)):
            add_kernel(tasks[-1], space, int(index))
    assert any(len(line["launches"]) > 1 and line["workspaces"] for _, line in tasks[0].lines)
    path, out = bundle(tmp_path / "x.bundle", tasks, CUDA, PATIENT), tmp_path / "r.jsonl"
    assert run(path, out, variables=fake_cuda.variables(driver))[0] == 0
    header, lines, _ = results(out)
    assert header["device"] == {"kind": "cuda", "name": "Fibres", "driver": "550.54.15", "arch": "sm_80"}
    assert [line["task"] for line in lines] == [0, 1, 2, 3]
    for line in lines:
        assert line["status"] == "ok", line["error"]
        assert line["conditions"] == {"sm_mhz": 1410.0, "temperature_c": 41.0, "power_w": 250.5}
        assert all(t > 0 for t in line["times_s"])


def test_faults_cost_their_kernel_only(driver, faulty, tmp_path):
    path, out = bundle(tmp_path / "x.bundle", [faulty], CUDA, QUICK, ("warm", "rotated")), tmp_path / "r.jsonl"
    given = {"kernel_1": "illegal", "kernel_2": "hang", "kernel_3": "crash", "kernel_4": "nan"}
    faults = ",".join(f"{kernel}:{fault}" for kernel, fault in given.items())
    assert run(path, out, variables=fake_cuda.variables(driver, FAKE_CUDA_FAULTS=faults))[0] == 0
    wanted = ["ok", "run_error", "run_timeout", "run_error", "wrong_answer", "ok"]
    assert statuses(out) == [status for status in wanted for _ in range(2)]
    errors = [line["error"] for line in results(out)[1]]
    assert errors[2] == "CUDA_ERROR_ILLEGAL_ADDRESS from cuCtxSynchronize"
    assert "within 3 s" in errors[4]
    assert "SIGSEGV" in errors[6]
    assert "NaN" in errors[8]


def test_fast_and_wrong_does_not_count(driver, faulty, tmp_path):
    path, out = bundle(tmp_path / "x.bundle", [faulty], CUDA, QUICK), tmp_path / "r.jsonl"
    faults = "kernel_0:skip,kernel_2:part,kernel_3:nan"
    assert run(path, out, variables=fake_cuda.variables(driver, FAKE_CUDA_FAULTS=faults))[0] == 0
    assert statuses(out) == ["wrong_answer", "ok", "wrong_answer", "wrong_answer", "ok", "ok"]
    lines = results(out)[1]
    assert lines[2]["error"].startswith("after the timing: ")
    assert lines[2]["times_s"] == []


def test_calls_of_a_repeat_take_the_copies_in_turn(driver, faulty, tmp_path):
    settings = MeasureSettings(number=40, min_repeat_ms=0, repeat=1, run_timeout_s=60)
    path, out = bundle(tmp_path / "x.bundle", [faulty], CUDA, settings, ("rotated",)), tmp_path / "r.jsonl"
    log = tmp_path / "log"
    assert run(path, out, variables=fake_cuda.variables(driver, FAKE_CUDA_LOG=str(log)))[0] == 0
    launched = [text.split() for text in log.read_text().splitlines()]
    assert Counter(kernel for kernel, *_ in launched)["kernel_0"] >= 41
    numbers = faulty.lines[-1][1]["launches"][0]["arguments"]
    places = [{address for each in launched[-40:] for address in [each[1 + numbers.index(k)]]} for k in range(3)]
    assert [len(addresses) for addresses in places] == [40, 40, 1]  # data, weight, output
    assert not set.intersection(*places)


def test_short_kernels_are_replayed_as_a_graph(driver, tmp_path):
    """By a clock that makes them short: a replay launches the same arguments as one launch at a time does."""
    path = bundle(tmp_path / "x.bundle", [dense(["kernel_0"])], CUDA, PATIENT, ("warm", "rotated"))
    log = tmp_path / "log"
    counts = []
    for number, speed in enumerate(("1", "300")):
        log.unlink(missing_ok=True)
        given = fake_cuda.variables(driver, FAKE_CUDA_LOG=str(log), FAKE_CUDA_SPEED=speed)
        out = tmp_path / f"{number}.jsonl"
        assert run(path, out, variables=given)[0] == 0
        assert set(statuses(out)) == {"ok"}
        launched = [tuple(line.split()) for line in log.read_text().splitlines()]
        counts.append((len(set(launched)), Counter(launched).most_common(1)[0][1]))
    assert counts[0][0] > 1  # copies
    assert counts[1][0] >= counts[0][0]
    assert counts[1][1] >= 3 * 32  # warm: once to look, once to know how long it takes, once to time it


def test_a_launch_of_another_shape_is_an_error_of_its_kernel(driver, tmp_path):
    task = dense()
    task.lines[1][1]["launches"][0]["grid"] = [99, 1, 1]
    task.lines[2][1]["launches"][0]["kernel"] = "another"
    path, out = bundle(tmp_path / "x.bundle", [task], CUDA, QUICK), tmp_path / "r.jsonl"
    assert run(path, out, variables=fake_cuda.variables(driver))[0] == 0
    assert statuses(out) == ["ok", "run_error", "run_error"]
    errors = [line["error"] for line in results(out)[1][1:]]
    assert errors == ["CUDA_ERROR_INVALID_VALUE from cuLaunchKernel", "CUDA_ERROR_NOT_FOUND from cuModuleGetFunction"]


def test_a_device_without_room_for_copies_is_an_error_of_the_kernel(driver, faulty, tmp_path):
    path, out = bundle(tmp_path / "x.bundle", [faulty], CUDA, QUICK, ("rotated",)), tmp_path / "r.jsonl"
    code, _ = run(path, out, variables=fake_cuda.variables(driver, FAKE_CUDA_BYTES="100000"))
    assert code == 0
    assert set(statuses(out)) == {"run_error"}
    assert "CUDA_ERROR_OUT_OF_MEMORY" in results(out)[1][0]["error"]


def test_another_device_or_none_is_refused_in_one_line(driver, faulty, tmp_path):
    path, out = bundle(tmp_path / "x.bundle", [faulty], CUDA, QUICK), tmp_path / "r.jsonl"
    assert run(path, out, variables=fake_cuda.variables(driver))[0] == 0
    before = out.read_bytes()
    for said, more in {
        "results of another device (cuda, Fibres": {"FAKE_CUDA_NAME": "Other"},
        "550.54.15": {"FAKE_CUDA_DRIVER": "560.0"},
        "the bundle is for a GPU of sm_80, and here is one of sm_90": {"FAKE_CUDA_ARCH": "90"},
    }.items():
        code, text = run(path, out, variables=fake_cuda.variables(driver, **more))
        assert code == 2, text
        assert said in text
        assert len(text.splitlines()) == 1
    code, text = run(path, out)
    assert code == 2
    assert "no usable NVIDIA driver here" in text
    assert out.read_bytes() == before


def test_code_for_a_newer_feature_set_runs_where_it_should(driver, tmp_path):
    path = bundle(tmp_path / "x.bundle", [dense()], Target.named("cuda/sm_90a"), QUICK)
    assert run(path, tmp_path / "r.jsonl", variables=fake_cuda.variables(driver, FAKE_CUDA_ARCH="90"))[0] == 0
    assert statuses(tmp_path / "r.jsonl") == ["ok"] * 3
