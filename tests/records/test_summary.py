"""The figures of the final table, from records made by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from raydgp.records import Context, Measurement, Phases, Record, Status
from raydgp.records.summary import RunSummary, TaskSummary
from raydgp.targets import Target
from raydgp.workloads import Conv2d, Dense, Fused

WORKLOAD = Dense(n=1, k=500, m=1000)  # 10^6 operations


def record(trial: int, times_s: tuple[float, ...], status: Status = Status.OK, task: str = "fc") -> Record:
    context = Context(
        task=task,
        workload=WORKLOAD.to_dict(),
        target=Target.named("llvm"),
        space_hash="0",
        strategy="random",
        seed=0,
        run="r",
    )
    phases = Phases(propose_s=0.1, build_s=0.2, queue_s=5.0, run_s=0.3, learn_s=0.4)
    measurement = Measurement(index=trial, status=status, times_s=times_s, phases=phases)
    return Record(context=context, trial=trial, knobs={"tile_k": [trial]}, measurement=measurement)


def summary_of(*records: Record) -> RunSummary:
    summary = RunSummary([TaskSummary("fc", WORKLOAD, 3)])
    summary.add(records)
    return summary


def test_best_is_the_fastest_median_and_waiting_is_not_work() -> None:
    task = summary_of(record(0, (4e-3,)), record(1, (1e-3, 2e-3, 9e-3)), record(2, (3e-3,))).tasks["fc"]
    row = task.to_dict(peak_gflops=10.0)
    assert row["best_index"] == 1
    assert row["best_knobs"] == {"tile_k": [1]}
    assert row["default_gflops"] == pytest.approx(0.25)
    assert row["best_gflops"] == pytest.approx(0.5)
    assert row["speedup"] == pytest.approx(2.0)
    assert row["peak_share"] == pytest.approx(0.05)
    assert row["best_spread"] == pytest.approx(4.0)
    assert row["busy_s"] == pytest.approx(3.0)


@pytest.mark.parametrize("times_s", [(math.nan,), (math.inf,), (0.0,), (-1.0,), ()])
def test_what_is_not_a_time_never_is_the_best(times_s: tuple[float, ...]) -> None:
    task = summary_of(record(0, (1e-3,)), record(1, times_s)).tasks["fc"]
    assert task.best is not None
    assert task.best.index == 0
    assert task.failed == 1


def test_a_wrong_answer_that_is_fastest_cannot_win() -> None:
    task = summary_of(record(0, (1e-3,)), record(1, (1e-9,), Status.WRONG_ANSWER)).tasks["fc"]
    assert task.best is not None
    assert task.best.index == 0


def test_network_latency_counts_every_call() -> None:
    assert summary_of(record(0, (4e-3,)), record(1, (1e-3,))).latency_s() == pytest.approx((12e-3, 3e-3))


def test_of_several_algorithms_for_a_layer_the_fastest_is_chosen_and_the_direct_default_counts() -> None:
    anchor = Conv2d(n=1, ci=16, h=8, w=8, co=16, kh=3, kw=3, padding=(1, 1))
    direct = Fused(anchor=anchor, block_in=16, block_out=16)
    names = {"direct": direct, "winograd": replace(direct, algorithm="winograd")}
    summary = RunSummary([TaskSummary(name, workload, 2) for name, workload in names.items()])
    summary.add([record(0, (4e-3,), task="direct"), record(0, (3e-3,), task="winograd")])
    assert [task.name for task in summary.chosen] == ["winograd"]
    assert summary.latency_s() == pytest.approx((8e-3, 6e-3))
    summary.add([record(1, (2e-3,), task="direct")])
    assert [task.name for task in summary.chosen] == ["direct"]


def test_unknown_figures_are_null_in_json() -> None:
    row = summary_of(record(0, (), Status.BUILD_ERROR)).tasks["fc"].to_dict(peak_gflops=None)
    assert json.loads(json.dumps(row, allow_nan=False))["speedup"] is None


def test_records_of_other_tasks_are_ignored() -> None:
    assert summary_of(record(0, (1e-3,), task="other")).tasks["fc"].measured == 0
