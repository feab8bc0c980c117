import numpy as np
import pytest
import tvm

from raydgp import Dense, config_space
from raydgp.records import Status
from raydgp.run import timing
from raydgp.run.timing import case, compare, within_a_model
from raydgp.settings import MeasureSettings
from raydgp.targets import Target, kind_named
from raydgp.templates.reference import reference
from raydgp.workloads import Fused
from tests.support.kernels import build

EXPECTED = np.array([[1.0, -4.0], [0.5, 2.0]], np.float32)


@pytest.mark.parametrize("error", [0.0, 0.39, -0.39])
def test_errors_up_to_the_tolerance_of_the_largest_magnitude_are_right(error):
    assert compare(EXPECTED + np.float32(error), EXPECTED, tolerance=0.1) == ""


def test_one_element_beyond_the_tolerance_is_wrong():
    actual = EXPECTED.copy()
    actual[1, 0] += 0.8
    assert compare(actual, EXPECTED, tolerance=0.1) == "relative error 0.2 is above the tolerance 0.1"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_wrong_whatever_the_tolerance(value):
    actual = EXPECTED.copy()
    actual[0, 1] = value
    assert compare(actual, EXPECTED, tolerance=1e30) == "1 of 4 output elements are NaN or infinite"


def test_another_shape_is_wrong():
    assert "shape (4,)" in compare(EXPECTED.reshape(-1), EXPECTED, tolerance=1.0)


def test_a_reference_of_zeros_admits_zeros_only():
    zeros = np.zeros(3, np.float32)
    assert compare(zeros, zeros, tolerance=1e-3) == ""
    assert compare(zeros + np.float32(1e-9), zeros, tolerance=1e-3) != ""


@pytest.mark.parametrize(("model_mb", "copies"), [(0.001, 1), (0.4, 100), (100, 256)])
def test_within_a_model_every_call_finds_another_copy_of_the_weight(model_mb, copies):
    weight = np.arange(1000, dtype=np.float32)
    data, out = (tvm.runtime.tensor(np.zeros(4, np.float32)) for _ in range(2))
    calls = []
    settings = MeasureSettings(number=300, min_repeat_ms=0)
    times_s, _ = within_a_model(
        lambda *arrays: calls.append(arrays), [data, tvm.runtime.tensor(weight), out], settings, model_mb
    )
    assert len(times_s) == settings.repeat
    assert min(times_s) > 0
    assert all(call[0] is data and call[2] is out for call in calls)
    assert len({id(call[1]) for call in calls}) == copies
    assert len({id(call[1]) for call in calls[:copies]}) == copies
    np.testing.assert_array_equal(calls[copies - 1][1].numpy(), weight)


def test_copies_of_the_weight_are_for_cpus(monkeypatch):
    """The CPU stands in for another device; a layer of a model is timed there by the device's clock."""
    monkeypatch.setattr(timing, "within_a_model", None)
    monkeypatch.setattr(type(kind_named("llvm")), "on_processors", False)
    workload = Fused(anchor=Dense(n=1, k=8, m=16), epilogue=("bias",), block_out=16)
    space, target = config_space(workload, "llvm"), Target.here("llvm")
    knobs, settings = space.decode(space.default), MeasureSettings(model_mb=1, min_repeat_ms=0)
    library = build(space, space.default, target)
    status, times_s, error, _ = timing.measure(library, space.template, workload, knobs, "llvm", settings)
    assert (status, len(times_s)) == (Status.OK, settings.repeat), error


def test_what_is_expected_is_of_the_inputs_as_the_template_reads_them():
    workload = Dense(n=4, k=300, m=5)
    inputs, exact = case(workload, "cuda.dense_small_batch.v1")
    same, rounded = case(workload, "cuda.dense_tensor_core.v1")
    assert all((a == b).all() for a, b in zip(inputs, same, strict=True))
    np.testing.assert_array_equal(exact, reference(workload, inputs))
    read = tuple(array.astype(np.float16).astype(np.float32) for array in inputs)
    np.testing.assert_array_equal(rounded, reference(workload, read))
    assert compare(exact, rounded, tolerance=1e-5)
    assert not compare(exact, rounded, tolerance=1e-3)
