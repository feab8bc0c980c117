"""On a GPU: every template is right and timed sanely, and a kernel that crashes or hangs costs its process only."""

import importlib.util
import re
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

from raydgp import Conv2d, config_space
from raydgp.build.cuda import library as cuda_build
from raydgp.errors import InputError
from raydgp.measure.local import LocalMeasurer
from raydgp.records import Status
from raydgp.run.supervisor import Supervisor
from raydgp.settings import MeasureSettings
from raydgp.targets import Target
from raydgp.workloads import Task
from tests.support.cuda_cases import SHAPES, TENSOR_CORES
from tests.support.kernels import build

try:
    TARGET = Target.here("cuda")
except InputError:
    TARGET = Target.from_dict({"kind": "cuda", "arch": "sm_90"})
    HERE = False
else:
    HERE = True
on_a_gpu = pytest.mark.skipif(not HERE, reason="no GPU here")

EVERY = SHAPES | TENSOR_CORES
LAYER = Conv2d(n=1, ci=128, h=28, w=28, co=128, kh=3, kw=3, padding=(1, 1))
SPACE = config_space(Conv2d(n=1, ci=16, h=14, w=14, co=16, kh=3, kw=3, padding=(1, 1)), "cuda")
SETTINGS = MeasureSettings(min_repeat_ms=5, build_timeout_s=60)
CRASH = "*(volatile float*)(out_ptr + (1ll << 44)) = 1.0f;"
HANG = "while (clock64() >= 0) {}"


def hostile(statement):
    """The default kernel of a small layer, with a statement in front of what it computes."""

    def compile_source(source, arch):
        source, count = re.subn(r'(extern "C" __global__ [^;{]*{\n)', rf"\g<1>  {statement}\n", source)
        assert count == 1
        return compile_as_it_is(source, arch)

    compile_as_it_is = cuda_build.compile_source
    with mock.patch.object(cuda_build, "compile_source", compile_source):
        return build(SPACE, SPACE.default, TARGET)


@pytest.fixture(scope="module")
def measurer():
    with LocalMeasurer(TARGET, SETTINGS) as made:
        yield made


@pytest.fixture(scope="module")
def supervisor():
    with Supervisor() as made:
        yield made


@pytest.mark.gpu
@on_a_gpu
@pytest.mark.parametrize(("workload", "algorithm"), EVERY.values(), ids=EVERY)
def test_every_configuration_of_a_template_is_right(measurer, workload, algorithm):
    space = config_space(workload, TARGET, algorithm)
    indices = np.array([space.default, *space.sample_valid(4, np.random.default_rng(0))])
    outcomes = measurer.measure(space, indices)
    assert [outcome.status for outcome in outcomes] == [Status.OK] * len(indices), [o.error for o in outcomes]


@pytest.mark.gpu
@on_a_gpu
def test_a_measurement_knows_its_device_and_what_it_used(measurer):
    (outcome,) = measurer.measure(SPACE, np.array([SPACE.default]))
    assert outcome.device["kind"] == "cuda"
    assert outcome.device["name"]
    assert outcome.device["driver"]
    assert outcome.device["arch"] == TARGET.architecture
    assert [used.kernel for used in outcome.resources] == ["main_kernel"]
    if importlib.util.find_spec("pynvml"):
        assert outcome.conditions["sm_mhz"] > 0
        assert 10 < outcome.conditions["temperature_c"] < 110


@pytest.mark.gpu
@on_a_gpu
def test_times_are_those_of_the_device(measurer):
    """Plausible, repeatable, and longer for more work."""
    space, more = config_space(LAYER, TARGET), config_space(replace(LAYER, n=64), TARGET)
    first, second, large = (measurer.measure(each, np.array([each.default]))[0] for each in (space, space, more))
    assert 50 < first.gflops(LAYER.flops) < 200_000
    assert first.spread < 0.2
    assert first.median_s == pytest.approx(second.median_s, rel=0.2)
    assert large.median_s > 4 * first.median_s


@pytest.mark.gpu
@on_a_gpu
def test_cold_calls_take_no_less_than_warm_ones(supervisor):
    library = build(SPACE, SPACE.default, TARGET)
    cold, warm = (
        supervisor.run(SPACE, SPACE.default, library, MeasureSettings(repeat=9, cold_cache=cold, min_repeat_ms=5))
        for cold in (True, False)
    )
    assert cold.status is warm.status is Status.OK
    assert len(cold.times_s) == 9
    assert np.median(cold.times_s) > np.median(warm.times_s)


@pytest.mark.gpu
@on_a_gpu
@pytest.mark.parametrize(("statement", "status"), [(CRASH, Status.RUN_ERROR), (HANG, Status.RUN_TIMEOUT)])
def test_a_kernel_that_crashes_or_hangs_costs_its_process_only(supervisor, statement, status):
    quick = MeasureSettings(min_repeat_ms=5, run_timeout_s=5)
    sound = build(SPACE, SPACE.default, TARGET)
    for _ in range(2):
        result = supervisor.run(SPACE, SPACE.default, hostile(statement), quick)
        assert result.status is status, result
        assert result.error
        assert supervisor.run(SPACE, SPACE.default, sound, SETTINGS).status is Status.OK


@pytest.mark.gpu
@on_a_gpu
@pytest.mark.cluster
def test_a_layer_is_tuned_on_this_machines_gpus(tmp_path):
    from raydgp.cluster import Cluster
    from raydgp.records import read
    from raydgp.settings import TuneSettings

    settings = TuneSettings(model="resnet18", target="cuda", strategy="random", trials=6, batch=3, run="gpu")
    with Cluster(settings, tmp_path / "journal.jsonl") as here:
        (outcome,) = here.tune([Task("conv", LAYER, 1)])
    records = list(read(tmp_path / "journal.jsonl"))
    assert outcome.measured == len(records) == 6
    assert outcome.best
    assert {record.measurement.device["kind"] for record in records} == {"cuda"}
    assert all(record.measurement.resources for record in records)


def test_the_hostile_kernels_of_these_tests_compile():
    try:
        libraries = {hostile(statement) for statement in ("", CRASH, HANG)}
    except Exception as error:
        if "pip install raydgp[cuda]" in str(error):
            pytest.skip(str(error))
        raise
    assert len(libraries) == 3
