import math
from collections.abc import Callable

import pytest

from raydgp.records import Context, Measurement, Phases, Record, RunManifest, Status, TaskEntry
from raydgp.records.convergence import RunConvergence
from raydgp.targets import Target

WORKLOAD = {"op": "dense", "n": 1, "k": 500, "m": 1000}  # 10^6 floating-point operations
Make = Callable[..., Record]


@pytest.fixture
def manifest() -> RunManifest:
    tasks = [
        TaskEntry(
            name=name,
            workload=workload,
            count=count,
            group="dense",
            space_hash="h",
            space_size=100,
            default_index=5,
        )
        for name, count, workload in (("a", 3, WORKLOAD), ("b", 1, {**WORKLOAD, "m": 2000}))
    ]
    return RunManifest(
        settings={}, tasks=tasks, target=Target.named("llvm"), device={}, versions={}, created_unix_s=0.0
    )


def record(index: int, *times_s: float, task: str = "a", status: Status = Status.OK, space_hash: str = "h") -> Record:
    context = Context(
        task=task,
        workload=WORKLOAD,
        target=Target.named("llvm"),
        space_hash=space_hash,
        strategy="grid",
        seed=0,
        run="r",
    )
    phases = Phases(build_s=1.0, run_s=0.5)
    measured = Measurement(index=index, status=status, times_s=times_s, phases=phases, time_unix_s=100.0 + index)
    return Record(context=context, trial=0, knobs={"k": index}, measurement=measured)


def test_points_of_a_task(manifest: RunManifest) -> None:
    run = RunConvergence(manifest)
    added = [
        run.add(r) for r in (record(1, status=Status.RUN_ERROR), record(5, 2e-3), record(2, 4e-3), record(3, 1e-3))
    ]
    points = [entry[1] for entry in added if entry]
    assert [p.step for p in points] == [1, 2, 3, 4]
    assert [p.time_ms for p in points] == [101_000, 105_000, 102_000, 103_000]
    assert "best_gflops" not in points[0].metrics
    assert "best_latency_us" not in points[0].metrics
    assert [p.metrics["best_latency_us"] for p in points[1:]] == pytest.approx([2000, 2000, 1000])
    assert [p.metrics["best_gflops"] for p in points[1:]] == pytest.approx([0.5, 0.5, 1.0])
    assert [p.metrics["failed"] for p in points] == [1, 1, 1, 1]
    assert [p.metrics["build_s"] for p in points] == [1, 2, 3, 4]
    row = run.parts["a/grid"].row(peak_gflops=10.0)
    assert row["speedup"] == pytest.approx(2.0)
    assert row["share_of_peak"] == pytest.approx(0.1)
    assert row["best_index"] == 3


def test_the_network_has_a_latency_once_every_layer_has_one(manifest: RunManifest) -> None:
    run = RunConvergence(manifest)
    totals = [entry[2] for r in (record(1, 1e-3), record(1, 5e-3, task="b"), record(2, 5e-4)) if (entry := run.add(r))]
    assert "network_latency_us" not in totals[0].metrics
    assert [t.metrics["network_latency_us"] for t in totals[1:]] == pytest.approx([8000, 6500])
    assert [t.step for t in totals] == [1, 2, 3]


def test_what_does_not_count(manifest: RunManifest) -> None:
    run = RunConvergence(manifest)
    assert run.add(record(1, 1e-3))
    assert run.add(record(1, 1e-4)) is None
    assert run.add(record(2, 1e-4, space_hash="another")) is None
    assert run.add(record(2, 1e-4, task="unknown")) is None
    assert run.measured == 1
    assert run.parts["a/grid"].best_s == 1e-3


def test_a_lost_runner_does_not_hide_the_later_measurement(manifest: RunManifest) -> None:
    run = RunConvergence(manifest)
    run.add(record(1, status=Status.RUNNER_LOST))
    run.add(record(1, 1e-3))
    assert (run.measured, run.failed) == (2, 1)
    assert run.parts["a/grid"].best_s == 1e-3


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0])
def test_no_metric_is_ever_nan_or_infinite(manifest: RunManifest, bad: float) -> None:
    run = RunConvergence(manifest)
    spoilt = record(1, bad)
    object.__setattr__(spoilt.measurement.phases, "run_s", bad)
    for entry in (run.add(spoilt), run.add(record(2, 1e-3))):
        assert entry
        assert all(math.isfinite(value) for point in entry[1:] for value in point.metrics.values())
    assert run.parts["a/grid"].best_s == 1e-3
    assert run.failed == 1


def test_a_layer_without_a_result_has_an_honest_row(manifest: RunManifest) -> None:
    run = RunConvergence(manifest)
    run.add(record(5, status=Status.BUILD_ERROR))
    row = run.parts["a/grid"].row(None)
    assert (row["measured"], row["failed"]) == (1, 1)
    names = ("default_latency_us", "best_latency_us", "speedup", "best_gflops", "share_of_peak", "best_index")
    assert [row[name] for name in names] == [None] * 6


def test_of_several_algorithms_for_a_layer_the_fastest_counts(manifest: RunManifest) -> None:
    one, other = manifest.tasks
    run = RunConvergence(manifest.model_copy(update={"tasks": [one, other.model_copy(update={"workload": WORKLOAD})]}))
    entries = [run.add(r) for r in (record(1, 3e-3), record(1, 1e-3, task="b"), record(2, 2e-3))]
    totals = [entry[2].metrics["network_latency_us"] for entry in entries if entry]
    assert totals == pytest.approx([9000, 3000, 3000])
