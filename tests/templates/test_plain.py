import numpy as np
import pytest
import tvm

from raydgp import Conv2d, Dense, DepthwiseConv2d
from raydgp.errors import BuildError
from raydgp.records import Status
from raydgp.run.builder import Builder
from raydgp.run.supervisor import Supervisor
from raydgp.run.timing import measure
from raydgp.settings import MeasureSettings
from raydgp.templates.plain import Plain, given, untuned
from tests.support.kernels import build

SETTINGS = MeasureSettings(repeat=2, min_repeat_ms=0, tolerance=1e-5)
WORKLOADS = [
    Conv2d(n=2, ci=5, h=9, w=7, co=6, kh=3, kw=1, stride=(2, 1), padding=(1, 0), dilation=(2, 1)),
    DepthwiseConv2d(n=1, ci=6, h=8, w=5, kh=3, kw=3, stride=(1, 2), padding=(0, 2)),
    Dense(n=3, k=20, m=7),
]


def checked(space, index, library):
    return measure(library, space.template, space.workload, space.decode(index), space.target, SETTINGS)


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.op)
def test_an_untuned_layer_computes_the_reference(workload, target):
    space = untuned(workload, "llvm")
    assert (space.size, space.decode(0)) == (1, {})
    status, times_s, error, _ = checked(space, 0, build(space, 0, target))
    assert (status, len(times_s), error) == (Status.OK, 2, "")


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.op)
def test_an_untuned_layer_has_serial_loops_alone(workload, target):
    script = Plain().schedule(workload, {}, target).script()
    assert "T.grid" in script
    assert not any(loop in script for loop in ("T.parallel", "T.vectorized", "T.unroll", "T.thread_binding"))


def test_given_modules_are_configurations_that_children_build_and_time(target):
    workload = WORKLOADS[0]
    wrong = Conv2d(n=2, ci=5, h=9, w=7, co=6, kh=3, kw=1, stride=(2, 1), padding=(1, 0), dilation=(1, 2))
    modules = [tvm.ir.save_json(Plain().schedule(w, {}, target)) for w in (workload, wrong)]
    space = given(workload, "llvm", [*modules, "no module"])
    with Builder() as builder, Supervisor() as supervisor:
        built = [builder.build(space, index, target, 20.0) for index in range(3)]
        assert [b.status for b in built] == [Status.OK, Status.OK, Status.BUILD_ERROR]
        runs = [supervisor.run(space, index, built[index].library, SETTINGS) for index in range(2)]
    assert runs[0].status is Status.OK
    assert runs[1].status in (Status.WRONG_ANSWER, Status.RUN_ERROR)  # its output has another shape


def test_a_module_that_is_none_is_a_build_error(target):
    with pytest.raises(BuildError):
        build(given(WORKLOADS[2], "llvm", ["{}"]), 0, target)


def test_the_space_of_given_modules_knows_them_by_their_place():
    space = given(WORKLOADS[2], "llvm", ["b", "a"])
    assert [space.decode(i)["module"] for i in range(2)] == ["b", "a"]
    assert space.valid(np.arange(2)).all()
