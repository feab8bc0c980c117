"""Who wins a layer: the fastest when measured again, not the luckiest of the search."""

from dataclasses import replace

from raydgp import Conv2d, config_space
from raydgp.app.tune.finalists import FINALISTS, remeasure_finalists
from raydgp.measure import Measurer
from raydgp.records import Context, Measurement, Record, Status
from raydgp.records.summary import RunSummary, TaskSummary
from raydgp.targets import Target
from raydgp.workloads import Fused

TARGET = Target.named("llvm")
DIRECT = Fused(anchor=Conv2d(n=1, ci=16, h=14, w=14, co=16, kh=3, kw=3, padding=(1, 1)), block_in=16, block_out=16)
WINOGRAD = replace(DIRECT, algorithm="winograd")
TWIN = replace(DIRECT, epilogue=("relu",))


class Truth(Measurer):
    """Seconds by algorithm and index; what is not in it fails."""

    def __init__(self, seconds):
        self.seconds, self.asked = seconds, []

    def measure(self, space, indices):
        out = []
        for index in map(int, indices):
            key = (space.workload.algorithm, index)
            self.asked.append((space.workload, index))
            time_s = self.seconds.get(key)
            status = Status.OK if time_s else Status.RUN_ERROR
            out.append(Measurement(index=index, status=status, times_s=(time_s,) if time_s else ()))
        return out


def record(workload, index, time_s):
    context = Context(
        task=str(workload),
        workload=workload.to_dict(),
        target=TARGET,
        space_hash=config_space(workload, "llvm").hash,
        strategy="random",
        seed=0,
        run="r",
    )
    measurement = Measurement(index=index, status=Status.OK, times_s=(time_s,))
    return Record(context=context, trial=index, knobs={}, measurement=measurement)


def decide(truth, *records):
    summary = RunSummary([TaskSummary(str(workload), workload, 1) for workload in (DIRECT, WINOGRAD, TWIN)])
    summary.add(records)
    return remeasure_finalists(summary.layers, records, TARGET, truth)


def test_the_luckiest_does_not_win():
    truth = Truth({("direct", 0): 3e-3, ("direct", 1): 2e-3})
    winner = decide(truth, record(DIRECT, 0, 1e-3), record(DIRECT, 1, 2e-3))[DIRECT]
    assert (winner.workload, winner.best.index, winner.best.median_s) == (DIRECT, 1, 2e-3)
    assert winner.best_knobs == config_space(DIRECT, "llvm").decode(1)


def test_the_faster_algorithm_wins():
    truth = Truth({("direct", 0): 2e-3, ("winograd", 5): 1e-3})
    assert decide(truth, record(DIRECT, 0, 1e-3), record(WINOGRAD, 5, 1.5e-3))[DIRECT].workload == WINOGRAD


def test_kin_share_their_finalists_by_the_median_of_what_they_measured():
    truth = Truth({("direct", index): 1e-3 + index * 1e-6 for index in range(9)})
    found = [record(DIRECT, index, 2e-3) for index in range(1, 9)] + [record(DIRECT, 0, 1e-3), record(TWIN, 0, 9e-3)]
    winners = decide(truth, *found)
    asked = [index for workload, index in truth.asked if workload == TWIN]
    assert len(asked) == FINALISTS
    assert 0 not in asked  # 1 ms once and 9 ms once
    assert winners[TWIN].best.index == min(asked)


def test_where_none_runs_the_records_stand():
    winner = decide(Truth({}), record(DIRECT, 0, 2e-3), record(WINOGRAD, 5, 1e-3))[DIRECT]
    assert (winner.workload, winner.best.median_s) == (WINOGRAD, 1e-3)


def test_a_layer_without_any_measurement_is_left_out():
    assert decide(Truth({})) == {}
    assert set(decide(Truth({("direct", 0): 1e-3}), record(DIRECT, 0, 1e-3))) == {DIRECT, TWIN}


def test_progress_is_told_layer_by_layer():
    summary, told = RunSummary([TaskSummary("a", DIRECT, 1), TaskSummary("b", WINOGRAD, 1)]), []
    remeasure_finalists(summary.layers, [], TARGET, Truth({}), lambda: told.append(1))
    assert told == [1]
