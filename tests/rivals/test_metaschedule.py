import tempfile

import numpy as np
import pytest
import tvm
from tvm.s_tir import meta_schedule as ms

from raydgp import Conv2d
from raydgp.errors import RaydgpError
from raydgp.measure.local import LocalMeasurer
from raydgp.records import Measurement, Phases, Status
from raydgp.rivals.metaschedule import task as metaschedule
from raydgp.settings import MeasureSettings
from raydgp.templates.plain import compute, given
from tests.support.processes import python

WORKLOAD = Conv2d(n=1, ci=8, h=6, w=6, co=8, kh=3, kw=3, padding=(1, 1))
SETTINGS = MeasureSettings(repeat=2, min_repeat_ms=0)


@pytest.fixture(autouse=True, scope="module")
def small_population():
    """TVM's default population takes half a minute to make."""
    patch = pytest.MonkeyPatch()
    strategy = ms.search_strategy.EvolutionarySearch
    small = {"population_size": 16, "init_min_unmeasured": 8, "genetic_num_iters": 1}
    patch.setattr(metaschedule, "search_strategy", lambda: strategy(**small))
    patch.setattr(metaschedule, "ROUND", 4)
    yield
    patch.undo()


class Fake:
    """Measures nothing: the n-th candidate takes 1 / n seconds, or fails as it is told."""

    def __init__(self, failures=None):
        self.failures, self.spaces = failures or {}, []

    def __call__(self, space, indices):
        out = []
        for index in indices.tolist():
            self.spaces.append(space)
            n = len(self.spaces)
            status = self.failures.get(n, Status.OK)
            times_s = (1 / n,) * 2 if status is Status.OK else ()
            out.append(Measurement(index=index, status=status, times_s=times_s, phases=Phases(build_s=0.25)))
        return out


def tune(target, measure, trials=6, **options):
    return metaschedule.tune(WORKLOAD, target, trials, 0, measure, **options)


def test_every_candidate_is_measured_as_ours_are_and_the_best_again(target, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with LocalMeasurer(target, SETTINGS) as measurer:
        seen: list[Measurement] = []
        tuned = tune(target, measurer.measure, on_measurement=seen.append)
        assert seen == tuned.measurements
        assert [m.index for m in seen] == list(range(6))
        assert len(tuned.modules) == 6
        assert {m.status for m in seen} == {Status.OK}
        assert all(
            len(m.times_s) in (1, 2) and m.device["threads"] and m.phases.build_s and m.phases.run_s for m in seen
        )
        assert all(m.phases.propose_s > 0 for m in seen)
        assert [m.phases.learn_s > 0 for m in seen] == [False] * 4 + [True] * 2
        best = tuned.best
        assert best.median_s == min(m.median_s for m in seen)
        again = measurer.measure(given(WORKLOAD, "llvm", tuned.modules), np.array([best.index]))
        assert again[0].ok
    assert list(tmp_path.iterdir()) == []


def test_failures_count_and_the_search_goes_on(target):
    failures = {1: Status.BUILD_ERROR, 2: Status.RUN_TIMEOUT, 5: Status.WRONG_ANSWER, 6: Status.BUILD_TIMEOUT}
    tuned = tune(target, Fake(failures), trials=8)
    assert len(tuned.measurements) == 8
    assert {m.index + 1: m.status for m in tuned.measurements if not m.ok} == failures
    assert tuned.best.index == 7


def test_when_all_fail_there_is_no_best(target):
    everything = dict.fromkeys(range(1, 7), Status.RUN_ERROR)
    tuned = tune(target, Fake(everything))
    assert tuned.best is None
    assert len(tuned.measurements) == 6


def test_candidates_differ_from_each_other_and_from_the_layer_without_a_schedule(target):
    tuned = tune(target, Fake())
    assert len(set(tuned.modules)) == 6
    plain = tvm.IRModule({"main": compute(WORKLOAD)}).script()
    assert all(tvm.ir.load_json(module).script() != plain for module in tuned.modules)


def test_when_nothing_can_be_measured_the_reason_comes_through(target):
    def measure(space, indices):
        raise RaydgpError("no child can be started here")

    with pytest.raises(RaydgpError, match="no child can be started"):
        tune(target, measure)


def test_all_intrinsics_can_still_be_found_afterwards(target):
    code = """
import sys
from raydgp.templates.traced.intrinsics import only_intrinsics
with only_intrinsics("x86"):
    import tvm.s_tir.tensor_intrin
assert "tvm.s_tir.tensor_intrin" not in sys.modules
assert "tvm.s_tir.tensor_intrin.cuda" not in sys.modules
from tvm.s_tir import TensorIntrin
assert TensorIntrin.get("dot_16x4_vnni")
"""
    python("-c", code)
