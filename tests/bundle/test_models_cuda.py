"""Whole models of a GPU: compiled for two architectures, run by the launches of the bundle on the stand-in driver."""

import json
import math

import numpy as np
import pytest
from tvm import te

from raydgp.app import bundled_models
from raydgp.build.cuda import compiler as cuda_compiler
from raydgp.bundle.make import make
from raydgp.bundle.reading import Bundle
from raydgp.errors import InputError
from raydgp.models.untasked import compile_function
from raydgp.settings import BundleModel, BundleSettings, MeasureSettings
from raydgp.targets import Target
from tests.support import fake_cuda
from tests.support.bundles import run
from tests.support.cuda_bundles import put_on_fibres

MODEL = "tests.support.networks:images"
QUICK = MeasureSettings(min_repeat_ms=0, repeat=2, run_timeout_s=6)


def built(path, arch):
    try:
        cuda_compiler.compiler_for(arch)
    except InputError as error:
        pytest.skip(str(error))
    settings = BundleSettings(target=f"cuda/{arch}", models=[BundleModel(model=MODEL)], measure=QUICK)
    return make(settings, path, carry_runner=False, models=bundled_models.planned_models(settings))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Its second layer's kernel is called `second`; it adds what the first layer gave."""
    path = tmp_path_factory.mktemp("made") / "images.bundle"
    assert not built(path, "sm_80").failed
    with Bundle(path) as bundle:
        (second,) = (task.name for task in bundle.header.tasks if "conv1x1" in task.name)
    put_on_fibres(path, {second: "second"})
    return path


def measured(path, out, driver, **more):
    assert run(path, out, variables=fake_cuda.variables(driver, **more))[0] == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()[1:]]
    (model,) = (line for line in lines if "model" in line)
    return model, [line["status"] for line in lines if "task" in line]


def test_a_model_runs_by_what_the_bundle_says(driver, made, tmp_path):
    log = tmp_path / "log"
    model, alone = measured(made, tmp_path / "r.jsonl", driver, FAKE_CUDA_LOG=str(log))
    assert model["status"] == "ok", model["error"]
    assert set(alone) == {"ok"}
    assert (model["conditions"]["sm_mhz"], model["conditions"]["graph"]) == (1410.0, 1.0)
    with Bundle(made) as bundle:
        sequence = bundle.sequence(bundle.header.models[0])
    assert len(model["steps_s"]) == len(sequence.steps)
    assert sum(model["steps_s"]) == pytest.approx(min(model["times_s"]), rel=2)  # of some milliseconds on fibres
    calls = [line.split() for line in log.read_text().splitlines() if line.startswith("second")]
    assert len({tuple(arguments) for _, *arguments in calls}) == 2  # alone, and always the same in the model


def test_where_the_driver_records_no_launches_they_are_made_one_by_one(driver, made, tmp_path):
    model, alone = measured(made, tmp_path / "r.jsonl", driver, FAKE_CUDA_GRAPHS="0")
    assert (model["status"], model["conditions"]["graph"]) == ("ok", 0.0)
    assert set(alone) == {"ok"}


SLOW = [pytest.param(*fault, marks=pytest.mark.slow) for fault in (("hang", "run_timeout"), ("crash", "run_error"))]


@pytest.mark.parametrize(("fault", "status"), [("skip", "wrong_answer"), *SLOW])
def test_a_kernels_fault_is_found_within_the_model_and_costs_no_other(fault, status, driver, made, tmp_path):
    model, alone = measured(made, tmp_path / "r.jsonl", driver, FAKE_CUDA_FAULTS=f"second:{fault}")
    assert model["status"] == status
    assert model["times_s"] == []
    assert sorted(alone) == sorted(["ok"] * (len(alone) - 1) + [status])
    if fault == "skip":
        assert "step 1, conv1x1" in model["error"]
        assert "NaN" in model["error"]


@pytest.mark.slow
def test_a_device_without_room_for_the_model_says_so(driver, made, tmp_path):
    with Bundle(made) as bundle:
        needed = sum(bundle.sequence(bundle.header.models[0]).buffers)
    model, alone = measured(made, tmp_path / "r.jsonl", driver, FAKE_CUDA_BYTES=str(needed))
    assert set(alone) == {"ok"}
    assert model["status"] == "run_error"
    assert "CUDA_ERROR_OUT_OF_MEMORY" in model["error"]


@pytest.mark.slow
def test_for_another_architecture_there_is_other_code_for_the_same_steps(made, tmp_path):
    path = tmp_path / "x.bundle"
    other = built(path, "sm_90")
    assert (other.models, other.failed) == (1, {})
    with Bundle(path) as bundle, Bundle(made) as first:
        assert bundle.header.target["arch"] == "sm_90"
        pairs = [(each, each.sequence(each.header.models[0])) for each in (bundle, first)]
        assert pairs[0][1].steps == pairs[1][1].steps
        for kernel in pairs[0][1].kernels:
            assert kernel.task is not None
            assert kernel.place is not None
            found = bundle.kernels(bundle.header.tasks[kernel.task])[kernel.place]
            assert all(b".text." + launch.kernel.encode() in bundle.code(found.code) for launch in found.launches)


def test_a_model_of_winners_and_its_layers_on_tensor_cores():
    """Convolutions of 3 channels and more; the last layer is no multiple of a fragment, which tensor cores fill up."""
    entries = [BundleModel(model=MODEL, winners=["tophub"], tensor_core=2), BundleModel(model=MODEL)]
    planned = bundled_models.planned_models(BundleSettings(target="cuda/sm_90", models=entries, measure=QUICK))
    first, second = planned.models
    assert (first.name, second.name) == ("images-tophub", "images")
    chosen = [(one.index, other.index) for one, other in zip(first.kernels, second.kernels, strict=True) if one.space]
    assert any(one != other for one, other in chosen)
    assert all(kernel.space.valid(np.array([kernel.index]))[0] for kernel in first.kernels if kernel.space)
    cores = [task for task in planned.tasks if task.name.endswith("-tensor_core")]
    assert cores
    for task in cores:
        assert "tensor_core" in task.space.template
        assert [origin for _, origin in task.wanted].count("draw") >= 1
        assert task.wanted[0] == (task.space.default, "default")


def test_tensor_cores_that_a_target_has_not_are_refused_in_one_line():
    entry = BundleModel(model=MODEL, tensor_core=2)
    with pytest.raises(
        InputError, match=r"models\.0: .*tensor_core: it has no layer that cuda/sm_61.* on tensor cores"
    ):
        bundled_models.planned_models(BundleSettings(target="cuda/sm_61", models=[entry], measure=QUICK))


def test_a_kernel_of_indices_gets_tvms_own_schedule():
    try:
        cuda_compiler.compiler_for("sm_80")
    except InputError as error:
        pytest.skip(str(error))
    data = te.placeholder((6, 7), "int64", name="data")
    halves = te.compute((6, 7), lambda i, j: data[i, j] // 2, name="halves")
    compiled = compile_function(te.create_prim_func([data, halves]), Target.named("cuda/sm_80"), scheduled=False)
    (launch,) = compiled.launches
    assert set(launch.arguments) == {0, 1}
    assert math.prod(launch.grid) * math.prod(launch.block) >= 42
    assert b".text." + launch.kernel.encode() in compiled.library
