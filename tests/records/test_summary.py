"""The one fold of a run's records: its figures, from records made by hand, and that all who read them agree."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from raydgp.cli.display import network_lines
from raydgp.records import Context, Measurement, Phases, Record, RunManifest, Status, TaskEntry
from raydgp.records.history import FINALISTS
from raydgp.records.points import Point, on_curve, run_point, task_point
from raydgp.records.summary import RunSummary, TaskSummary, final_choice
from raydgp.targets import Target
from raydgp.workloads import Conv2d, Dense, Fused, Workload

WORKLOAD = Dense(n=1, k=500, m=1000)  # 10^6 operations
OTHER = Dense(n=1, k=500, m=2000)
DEFAULT = 5


def entry(name: str, workload: Workload = WORKLOAD, count: int = 3, default: int = DEFAULT) -> TaskEntry:
    return TaskEntry(
        name=name,
        workload=workload.to_dict(),
        count=count,
        group="dense",
        space_hash="h",
        space_size=100,
        default_index=default,
    )


def record(index: int, *times_s: float, task: str = "a", status: Status = Status.OK, **fields: object) -> Record:
    context = Context(
        task=task,
        workload=WORKLOAD.to_dict(),
        target=Target.named("llvm"),
        space_hash=str(fields.get("space_hash", "h")),
        strategy=str(fields.get("strategy", "random")),
        seed=0,
        run="r",
    )
    phases = Phases(propose_s=0.1, build_s=0.2, queue_s=5.0, run_s=0.3, learn_s=0.4)
    measured = Measurement(index=index, status=status, times_s=times_s, phases=phases, time_unix_s=100.0 + index)
    trial = fields.get("trial", index)
    assert isinstance(trial, int)
    return Record(context=context, trial=trial, knobs={"tile_k": [index]}, measurement=measured)


def summary_of(*records: Record, entries: tuple[TaskEntry, ...] = (entry("a"), entry("b", OTHER, 1))) -> RunSummary:
    return RunSummary(entries, records)


def task_of(*records: Record) -> TaskSummary:
    return summary_of(*records).tasks["a"]


def test_disturbed_measurements_are_counted_and_told_when_they_are_many() -> None:
    quiet = [record(index, 1e-3) for index in range(30)]
    disturbed = [
        replace(each, measurement=structs.replace(each.measurement, conditions={"waited": 0.4})) for each in quiet
    ]
    few, many = summary_of(*quiet[1:], disturbed[0]), summary_of(*quiet[2:], *disturbed[:2])
    assert (few.disturbed, many.disturbed) == (1, 2)
    assert not any("busy" in line for line in network_lines(few))
    assert "2 of 30 measurements were disturbed" in network_lines(many)[-1]


# --- the default


def test_the_default_is_the_tasks_default_configuration_whenever_it_was_measured() -> None:
    row = task_of(record(2, 2e-3, trial=0), record(DEFAULT, 1e-3, trial=1), record(3, 0.5e-3, trial=2)).row(None)
    assert row["default_latency_us"] == pytest.approx(1000.0)
    assert row["speedup"] == pytest.approx(2.0)


@pytest.mark.parametrize("status", [None, Status.RUN_ERROR])
def test_without_a_correct_default_there_is_none_and_no_speedup(status: Status | None) -> None:
    failed = [record(DEFAULT, status=status)] if status else []
    row = task_of(record(2, 2e-3, trial=0), *failed).row(None)
    assert [row[name] for name in ("default_latency_us", "default_gflops", "speedup")] == [None] * 3
    assert row["best_latency_us"] == pytest.approx(2000.0)


# --- the best


def test_best_is_the_fastest_median_and_waiting_is_not_work() -> None:
    row = task_of(record(DEFAULT, 4e-3), record(1, 1e-3, 2e-3, 9e-3), record(2, 3e-3)).row(peak_gflops=10.0)
    assert row["best_index"] == 1
    assert row["best_knobs"] == {"tile_k": [1]}
    assert row["default_gflops"] == pytest.approx(0.25)
    assert row["best_gflops"] == pytest.approx(0.5)
    assert row["speedup"] == pytest.approx(2.0)
    assert row["share_of_peak"] == pytest.approx(0.05)
    assert row["best_spread"] == pytest.approx(4.0)
    assert row["busy_s"] == pytest.approx(3.0)


@pytest.mark.parametrize("times_s", [(math.nan,), (math.inf,), (0.0,), (-1.0,), ()])
def test_what_is_not_a_time_never_is_the_best(times_s: tuple[float, ...]) -> None:
    task = task_of(record(0, 1e-3), record(1, *times_s))
    assert task.best
    assert (task.best.index, task.failed) == (0, 1)
    assert task.latencies_s == {0: 1e-3}


def test_a_wrong_answer_that_is_fastest_cannot_win() -> None:
    task = task_of(record(0, 1e-3), record(1, 1e-9, status=Status.WRONG_ANSWER))
    assert task.best
    assert task.best.index == 0


def test_unknown_figures_are_null_in_json() -> None:
    row = task_of(record(DEFAULT, status=Status.BUILD_ERROR)).row(None)
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert (row["measured"], row["failed"]) == (1, 1)
    names = ("default_latency_us", "best_latency_us", "speedup", "best_gflops", "share_of_peak", "best_index")
    assert [row[name] for name in names] == [None] * 6


# --- which records count


def test_what_does_not_count() -> None:
    summary = summary_of(record(1, 1e-3))
    assert summary.add(record(1, 1e-4)) is None
    assert summary.add(record(2, 1e-4, space_hash="another")) is None
    assert summary.add(record(2, 1e-4, task="unknown")) is None
    assert summary.add(record(2, 1e-4, strategy=FINALISTS)) is None
    assert summary.measured == 1
    assert summary.tasks["a"].latency_s == 1e-3


def test_a_lost_runner_does_not_hide_the_later_measurement() -> None:
    summary = summary_of(record(1, status=Status.RUNNER_LOST), record(1, 1e-3))
    assert (summary.measured, summary.failed) == (2, 1)
    assert summary.tasks["a"].latency_s == 1e-3


# --- the network


def test_network_latency_counts_every_call() -> None:
    found = summary_of(record(DEFAULT, 4e-3), record(1, 1e-3), record(DEFAULT, 5e-3, task="b")).network()
    assert (found.default_s, found.best_s) == pytest.approx((17e-3, 8e-3))
    assert found.speedup == pytest.approx(17 / 8)
    assert (found.unmeasured, found.without_default) == ([], [])


def test_what_is_known_is_summed_and_what_is_missing_is_named() -> None:
    found = summary_of(record(1, 2e-3)).network()
    assert found.best_s == pytest.approx(6e-3)
    assert (found.unmeasured, found.without_default) == (["b"], ["a", "b"])
    assert math.isnan(found.speedup)
    found = summary_of(record(1, 2e-3), record(1, 2e-3, task="b"), record(DEFAULT, 8e-3, task="b")).network()
    assert found.speedup == pytest.approx(4.0)  # of b alone
    assert summary_of(record(1, 1e-3)).unmeasured == ["b"]


def test_of_several_algorithms_for_a_layer_the_fastest_is_chosen_and_the_direct_default_counts() -> None:
    anchor = Conv2d(n=1, ci=16, h=8, w=8, co=16, kh=3, kw=3, padding=(1, 1))
    direct = Fused(anchor=anchor, block_in=16, block_out=16)
    entries = (entry("direct", direct, 2), entry("winograd", replace(direct, algorithm="winograd"), 2))
    summary = summary_of(record(DEFAULT, 4e-3, task="direct"), record(DEFAULT, 3e-3, task="winograd"), entries=entries)
    assert [task.name for task in summary.chosen] == ["winograd"]
    assert (summary.network().default_s, summary.network().best_s) == pytest.approx((8e-3, 6e-3))
    summary.add(record(1, 2e-3, task="direct"))
    assert [task.name for task in summary.chosen] == ["direct"]


def test_finalists_decide_and_the_last_of_them() -> None:
    summary = summary_of(record(1, 1e-3), record(2, 2e-3), record(1, 3e-3, task="b"))
    again = [record(1, 4e-3, strategy=FINALISTS, trial=0), record(2, 3e-3, strategy=FINALISTS, trial=0)]
    assert [t.best.index for t in final_choice(summary, again).values() if t.best] == [2, 1]
    again.append(record(1, 2.5e-3, strategy=FINALISTS, trial=1))
    assert [t.latency_s for t in final_choice(summary, again).values()] == [2.5e-3, 3e-3]
    again.append(record(1, status=Status.RUN_ERROR, strategy=FINALISTS, trial=2))
    assert [t.latency_s for t in final_choice(summary, again).values()] == [1e-3, 3e-3]  # none ran: the search's own


# --- metrics by step


def points(*records: Record) -> tuple[list[Point], list[Point], RunSummary]:
    summary, of_tasks, of_run = summary_of(), [], []
    for one in records:
        if task := summary.add(one):
            of_tasks.append(task_point(task, 10.0))
            of_run.append(run_point(summary))
    return of_tasks, of_run, summary


def test_points_of_a_task() -> None:
    found, _, _ = points(record(1, status=Status.RUN_ERROR), record(5, 2e-3), record(2, 4e-3), record(3, 1e-3))
    assert [p.step for p in found] == [1, 2, 3, 4]
    assert [p.time_ms for p in found] == [101_000, 105_000, 105_000, 105_000]
    assert not any(name.startswith("best/") for name in found[0].metrics)
    assert [p.metrics["best/latency_us"] for p in found[1:]] == pytest.approx([2000, 2000, 1000])
    assert [p.metrics["best/gflops"] for p in found[1:]] == pytest.approx([0.5, 0.5, 1.0])
    assert [p.metrics["best/share_of_peak"] for p in found[1:]] == pytest.approx([0.05, 0.05, 0.1])
    assert [p.metrics["trials/failed"] for p in found] == [1, 1, 1, 1]
    assert [p.metrics["time/build_s"] for p in found] == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_the_network_has_a_latency_of_the_layers_that_have_a_result() -> None:
    _, found, _ = points(
        record(4, status=Status.RUN_ERROR), record(1, 1e-3), record(1, 5e-3, task="b"), record(2, 5e-4)
    )
    assert [p.metrics.get("network/latency_us") for p in found] == pytest.approx([None, 3000, 8000, 6500])
    assert [p.metrics["network/without_result"] for p in found] == [2, 1, 0, 0]
    assert [p.step for p in found] == [1, 2, 3, 4]


def test_a_curve_has_few_points_however_long_the_search() -> None:
    steps = [step for step in range(1, 100_001) if on_curve(step)]
    assert steps[:100] == list(range(1, 101))
    assert len(steps) < 400
    assert all(after / before < 1.06 for before, after in pairwise(steps[99:]))


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0])
def test_no_metric_is_ever_nan_or_infinite(bad: float) -> None:
    spoilt = record(1, bad)
    structs.force_setattr(spoilt.measurement.phases, "run_s", bad)
    of_tasks, of_run, summary = points(spoilt, record(2, 1e-3))
    assert all(math.isfinite(value) for point in of_tasks + of_run for value in point.metrics.values())
    assert (summary.tasks["a"].latency_s, summary.failed) == (1e-3, 1)


_RECORDS = st.lists(
    st.builds(
        lambda index, seconds, task, ok, space_hash, strategy: record(
            index,
            *((seconds,) if ok is Status.OK else ()),
            task=task,
            status=ok,
            space_hash=space_hash,
            strategy=strategy,
        ),
        st.integers(0, 9),
        st.floats(1e-6, 1.0),
        st.sampled_from(["a", "b", "unknown"]),
        st.sampled_from([Status.OK, Status.OK, Status.RUN_ERROR, Status.RUNNER_LOST]),
        st.sampled_from(["h", "h", "h", "another"]),
        st.sampled_from(["random", "random", FINALISTS]),
    ),
    max_size=60,
)


@given(_RECORDS)
def test_the_last_metrics_say_what_the_report_says(records: list[Record]) -> None:
    of_tasks, of_run, live = points(*records)
    manifest = RunManifest(
        settings={},
        tasks=[task.entry for task in live.tasks.values()],
        target=Target.named("llvm"),
        device={},
        versions={},
        created_unix_s=0.0,
    )
    report = RunSummary(manifest.tasks, records)
    assert [t.row(10.0) for t in report.tasks.values()] == [t.row(10.0) for t in live.tasks.values()]
    assert report.measured == live.measured == len(of_run) == len(of_tasks)
    network = report.network()
    if of_run:
        last = of_run[-1].metrics
        assert (last["trials/measured"], last["trials/failed"]) == (report.measured, report.failed)
        assert last["network/without_result"] == len(network.unmeasured)
        assert last.get("network/latency_us", 0.0) == pytest.approx(1e6 * network.best_s)
