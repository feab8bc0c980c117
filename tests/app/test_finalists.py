"""Who wins a layer: the fastest when measured again, not the luckiest of the search."""

from dataclasses import replace

import pytest

from raydgp import Conv2d, config_space
from raydgp.app.deploy.finalists import MOST, remeasure_finalists
from raydgp.errors import InputError
from raydgp.measure import Measurer
from raydgp.records import Context, Measurement, Record, RunFolder, RunManifest, Status, TaskEntry
from raydgp.records.history import known
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


@pytest.fixture
def run(tmp_path):
    entries = [TaskEntry.of(str(workload), 1, config_space(workload, "llvm")) for workload in (DIRECT, WINOGRAD, TWIN)]
    folder = RunFolder(tmp_path / "r")
    manifest = RunManifest(settings={}, tasks=entries, target=TARGET, device={}, versions={}, created_unix_s=0.0)
    folder.save(manifest)
    return folder


@pytest.fixture
def decide(run):
    def decided(truth, *records):
        with run.writer() as journal:
            journal.append(records)
        remeasure_finalists(run, truth, lambda done, total: None)
        return run.choice()

    return decided


def test_the_luckiest_does_not_win(decide):
    truth = Truth({("direct", 0): 3e-3, ("direct", 1): 2e-3})
    winner = decide(truth, record(DIRECT, 0, 1e-3), record(DIRECT, 1, 2e-3))[DIRECT]
    assert (winner.workload, winner.best.index, winner.best.median_s) == (DIRECT, 1, 2e-3)
    assert config_space(DIRECT, "llvm").encode(winner.best_knobs) == 1


def test_the_faster_algorithm_wins(decide):
    truth = Truth({("direct", 0): 2e-3, ("winograd", 5): 1e-3})
    assert decide(truth, record(DIRECT, 0, 1e-3), record(WINOGRAD, 5, 1.5e-3))[DIRECT].workload == WINOGRAD


def test_kin_share_their_finalists_by_the_median_of_what_they_measured(decide):
    truth = Truth({("direct", index): 1e-3 + index * 1e-6 for index in range(9)})
    found = [record(DIRECT, index, 2e-3) for index in range(1, 9)] + [record(DIRECT, 0, 1e-3), record(TWIN, 0, 9e-3)]
    winners = decide(truth, *found)
    asked = [index for workload, index in truth.asked if workload == TWIN]
    assert len(asked) == MOST
    assert 0 not in asked  # 1 ms once and 9 ms once
    assert winners[TWIN].best.index == min(asked)


def test_where_none_runs_the_records_stand(decide):
    winner = decide(Truth({}), record(DIRECT, 0, 2e-3), record(WINOGRAD, 5, 1e-3))[DIRECT]
    assert (winner.workload, winner.best.median_s) == (WINOGRAD, 1e-3)


def test_a_layer_without_any_measurement_is_left_out(decide):
    assert decide(Truth({})) == {}
    assert set(decide(Truth({("direct", 0): 1e-3}), record(DIRECT, 0, 1e-3))) == {DIRECT, TWIN}


def test_progress_is_told_layer_by_layer(run):
    told = []
    remeasure_finalists(run, Truth({}), lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_a_second_deployment_decides_anew_and_the_search_is_as_it_was(run, decide):
    first = Truth({("direct", 0): 1e-3, ("direct", 1): 2e-3})
    found = [record(DIRECT, 0, 1e-3), record(DIRECT, 1, 1e-3), record(WINOGRAD, 5, 9e-3)]
    assert decide(first, *found)[DIRECT].best.index == 0
    before = run.records(), run.summary().tasks[str(DIRECT)].row(None)
    assert decide(Truth({("direct", 0): 3e-3, ("direct", 1): 2e-3}))[DIRECT].best.index == 1
    assert (run.records(), run.summary().tasks[str(DIRECT)].row(None)) == before
    assert {again.trial for again in run.finalists()} == {0, 1}
    assert known(run.scan().records, run.manifest.tasks[0].space_hash).keys() == {0, 1}


def test_a_deployment_that_was_stopped_decides_what_it_has_measured(run, decide):
    decide(Truth({("direct", 0): 2e-3}), record(DIRECT, 0, 1e-3))

    class Stops(Truth):
        def measure(self, space, indices):
            if self.asked:
                raise KeyboardInterrupt
            return super().measure(space, indices)

    with pytest.raises(KeyboardInterrupt):
        remeasure_finalists(run, Stops({("direct", 0): 5e-3}), lambda done, total: None)
    choice = run.choice()
    assert (choice[DIRECT].best.median_s, choice[TWIN].best.median_s) == (5e-3, 2e-3)


def test_another_raydgps_spaces_are_refused(run):
    entries = [entry.model_copy(update={"space_hash": "0" * 16}) for entry in run.manifest.tasks]
    run.save(run.manifest.model_copy(update={"tasks": entries}))
    lost = replace(record(DIRECT, 0, 1e-3), context=replace(record(DIRECT, 0, 1e-3).context, space_hash="0" * 16))
    with run.writer() as journal:
        journal.append([lost])
    with pytest.raises(InputError, match="tune it again"):
        remeasure_finalists(run, Truth({}), lambda done, total: None)
