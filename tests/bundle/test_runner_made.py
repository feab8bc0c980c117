"""The whole path: bundles made by `raydgp bundle make`, measured where only numpy can be imported."""

import subprocess

import numpy as np
import pytest

from raydgp.build.cuda import compiler as cuda_compiler
from raydgp.bundle.make import make
from raydgp.bundle.reading import Bundle
from raydgp.errors import InputError
from raydgp.measure import LocalMeasurer
from raydgp.settings import MeasureSettings
from raydgp.templates.spaces import config_space
from raydgp.workloads import from_dict
from tests.support import fake_cuda
from tests.support.bundles import results
from tests.support.cuda_bundles import put_on_fibres
from tests.support.fake_builders import plan


def carried(python, path, out, **variables):
    """Runs the bundle as the script that it is."""
    command = [python, path, "--out", out, "--minutes", "3"]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", **variables})
    assert done.returncode == 0, done.stderr
    return results(out)


def test_kernels_of_a_cpu_measured_from_the_bundle_alone(bare_python, target, tmp_path):
    """With the statuses of the local measurer."""
    tasks = [
        {"layer": "mobilenet_v1/sp-13-dp1", "draws": 2},
        {"layer": "resnet18/rb4-sc", "draws": 3},
        {"layer": "resnet18/rb4-conv2", "algorithm": "winograd"},
    ]
    settings = MeasureSettings(min_repeat_ms=1, threads=1)
    wanted = plan(*tasks, target="llvm", measure=settings, caches=["warm", "rotated"])
    made = make(wanted, tmp_path / "x.bundle", carry_runner=True)
    header, lines, _ = carried(bare_python, made.path, tmp_path / "r.jsonl")
    assert header["device"] == target.behaviour.device(target, 1)
    assert len(lines) == 2 * made.kernels == 16
    assert [(line["task"], line["place"]) for line in lines[:6:2]] == [(0, 0), (1, 0), (2, 0)]
    with Bundle(made.path) as bundle, LocalMeasurer(target, settings) as measurer:
        workload = from_dict(bundle.header.tasks[1].workload)
        own = [line for line in lines if line["task"] == 1 and line["caches"] == "warm"]
        local = measurer.measure(config_space(workload, target), np.array([line["index"] for line in own]))
        assert [line["status"] for line in own] == [str(each.status) for each in local]
    assert {line["status"] for line in lines} == {"ok"}


def test_kernels_of_a_gpu_on_fibres_by_what_the_bundle_says_of_them(bare_python, driver, tmp_path):
    try:
        cuda_compiler.compiler_for("sm_80")
    except InputError as error:
        pytest.skip(str(error))
    tasks = [{"layer": "mobilenet_v1/sp-13-dp1", "draws": 1}, {"layer": "resnet18/rb4-sc"}]
    settings = MeasureSettings(min_repeat_ms=0, repeat=1, run_timeout_s=100)
    made = make(plan(*tasks, target="cuda/sm_80", measure=settings), tmp_path / "x.bundle", carry_runner=True)
    put_on_fibres(made.path)
    _, lines, _ = carried(bare_python, made.path, tmp_path / "r.jsonl", **fake_cuda.variables(driver))
    assert [(line["task"], line["place"], line["status"]) for line in lines] == [
        (0, 0, "ok"),
        (1, 0, "ok"),
        (0, 1, "ok"),
    ]
