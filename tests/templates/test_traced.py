import hashlib

import numpy as np
import pytest
import tvm
from tvm import te, topi
from tvm.s_tir import Schedule, Trace

from raydgp import config_space
from raydgp.errors import BuildError, InputError
from raydgp.measure.local import LocalMeasurer
from raydgp.records import Status
from raydgp.run.timing import case, measure
from raydgp.settings import MeasureSettings
from raydgp.templates.traced.code import arrays, decode
from raydgp.templates.traced.extract import kernel, plain
from raydgp.templates.traced.schedule import TracedTemplate
from raydgp.templates.traced.space import decided
from raydgp.workloads import TracedKernel, from_dict
from tests.support.kernels import build
from tests.support.processes import python
from tests.support.traced_kernels import KERNELS, TARGET, array, primitive

schedule = TracedTemplate().scheduled
SETTINGS = MeasureSettings(repeat=1, min_repeat_ms=0, tolerance=1e-5)


@pytest.fixture(scope="module")
def workloads():
    return {name: kernel(name, primitive(name), TARGET) for name in KERNELS}


def with_decisions(workload, knobs):
    """The schedule by TVM's own means: one decision of the sketch after the other replaced."""
    space, trace = config_space(workload, "llvm"), decided(workload, knobs)
    sch = Schedule(decode(workload), debug_mask=0)
    Trace.apply_json_to_schedule(
        decided(workload, space.decode(space.default) | {"sketch": knobs.get("sketch", 0)}), sch
    )
    replaced = sch.trace
    for at, decision in trace[1]:
        replaced = replaced.with_decision(replaced.insts[at], decision, remove_postproc=False)
    again = Schedule(decode(workload), debug_mask=0)
    replaced.apply_to_schedule(again, remove_postproc=False)
    return again


@pytest.mark.parametrize("name", ["mean", "chain", "unpack"])
def test_every_configuration_is_what_tvm_makes_of_its_decisions(workloads, name):
    workload = workloads[name]
    space = config_space(workload, "llvm")
    indices = np.flatnonzero(space.valid(np.arange(space.size)))
    assert 8 <= len(indices) <= 200
    seen = set()
    for index in indices:
        knobs = space.decode(int(index))
        ours = Schedule(decode(workload), debug_mask=0)
        Trace.apply_json_to_schedule(decided(workload, knobs), ours)
        tvm.ir.assert_structural_equal(ours.mod, with_decisions(workload, knobs).mod)
        assert plain(ours.trace.as_json()) == decided(workload, knobs)
        seen.add(tvm.ir.save_json(ours.mod))
    assert len(seen) == len(indices)


@pytest.mark.parametrize("name", KERNELS)
def test_configurations_compute_what_numpy_does(workloads, target, name):
    workload = workloads[name]
    space = config_space(workload, "llvm")
    inputs, expected = case(workload, "llvm.sketched.v1")
    np.testing.assert_allclose(expected, KERNELS[name][2](*inputs), rtol=1e-4, atol=1e-5)
    for index in {space.default, *space.sample_valid(4, np.random.default_rng(1)).tolist()}:
        knobs = space.decode(index)
        library = build(space, index, target)
        status, _, error, _ = measure(library, space.template, workload, knobs, "llvm", SETTINGS)
        assert (status, error) == (Status.OK, ""), knobs


@pytest.mark.parametrize("name", ["pool", "softmax", "norm", "chain", "mean", "unpack"])
def test_the_default_is_parallel_and_vectorised(workloads, name):
    space = config_space(workloads[name], "llvm")
    script = schedule(workloads[name], space.decode(space.default), TARGET).mod.script()
    assert "T.parallel" in script
    assert "T.vectorized" in script


def test_one_thread_is_an_option(workloads):
    space = config_space(workloads["chain"], "llvm")
    knobs = {**space.decode(space.default), "parallel": 1}
    assert "T.parallel" not in schedule(workloads["chain"], knobs, TARGET).mod.script()


def test_a_scheduled_functions_trace_repeats_it(workloads):
    for workload in workloads.values():
        space = config_space(workload, "llvm")
        scheduled = schedule(workload, space.decode(space.default), TARGET)
        again = Schedule(decode(workload), debug_mask=0)
        scheduled.trace.apply_to_schedule(again, remove_postproc=False)
        tvm.ir.assert_structural_equal(again.mod, scheduled.mod)


def test_names_and_attributes_of_the_caller_make_no_other_kernel(workloads):
    inputs = [array(6, 48, name="something_else")]
    function = te.create_prim_func([*inputs, topi.nn.softmax(*inputs)]).with_attr("op_pattern", 4)
    assert kernel("softmax", function, TARGET) == workloads["softmax"]
    assert from_dict(workloads["softmax"].to_dict()) == workloads["softmax"]
    assert workloads["softmax"].operations > 0
    assert workloads["unpack"].operations == 16 * 13 * 5


def test_another_process_makes_the_same_kernels(workloads):
    code = """
import hashlib
from raydgp.templates.traced.extract import kernel
from tests.support.traced_kernels import KERNELS, TARGET, primitive
print(hashlib.sha256(repr([kernel(name, primitive(name), TARGET) for name in KERNELS]).encode()).hexdigest())
"""
    done = python("-c", code)
    here = repr([workloads[name] for name in KERNELS])
    assert done.stdout.strip() == hashlib.sha256(here.encode()).hexdigest()


def test_inputs_are_such_that_the_answer_is_a_number(workloads):
    (x,), expected = case(workloads["root"], "llvm.sketched.v1")
    assert (x >= 0).all()
    assert np.isfinite(expected).all()
    assert case(workloads["root"], "llvm.sketched.v1")[1] is expected


def test_whole_numbers_are_inputs_too():
    x, at = array(5, 3), te.placeholder((4,), dtype="int64", name="at")
    workload = kernel("take", te.create_prim_func([x, at, topi.take(x, at, axis=0)]), TARGET)
    (data, where), expected = case(workload, "llvm.sketched.v1")
    assert where.dtype == np.int64
    np.testing.assert_array_equal(expected, data[where])
    assert [dtype for _, dtype in arrays(decode(workload))] == ["float32", "int64", "float32"]


def test_what_has_no_space_is_refused():
    x = array(4, 6)
    both = te.create_prim_func([x, topi.exp(x), topi.tanh(x)])
    with pytest.raises(InputError, match="2 outputs"):
        kernel("both", both, TARGET)
    with pytest.raises(InputError, match="int32"):
        kernel("cast", te.create_prim_func([x, topi.cast(x, "int32")]), TARGET)
    n = te.var("n")
    open_ended = te.placeholder((n, 4), name="x")
    with pytest.raises(InputError, match="fixed"):
        kernel("open", te.create_prim_func([open_ended, topi.exp(open_ended)]), TARGET)


def test_code_that_is_none_is_a_build_error(workloads, target):
    sound = workloads["chain"]
    broken = TracedKernel(name="broken", code="bm9uZQ==", sketches=sound.sketches, operations=1)
    with pytest.raises(InputError, match="code"):
        decode(broken)
    with pytest.raises(BuildError, match="code"):
        build(config_space(broken, "llvm"), 0, target)


def test_a_measurer_measures_it(workloads, target):
    space = config_space(workloads["pool"], "llvm")
    with LocalMeasurer(target, SETTINGS, workers=1) as measurer:
        outcomes = measurer.measure(space, np.array([space.default, 0]))
    assert [outcome.status for outcome in outcomes] == [Status.OK, Status.OK]
