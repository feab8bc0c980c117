"""What a log says of a run: how far it is, how long it still takes, and never more often than it should."""

from __future__ import annotations

import pytest

from raydgp.app.observer import PlainObserver, RunProgress, duration
from raydgp.records import Context, Measurement, Record, Status, TaskEntry
from raydgp.records.summary import RunSummary
from raydgp.targets import Target
from raydgp.workloads import Dense

WORKLOAD = Dense(n=1, k=500, m=1000)  # 10^6 operations


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def measured(summary: RunSummary, count: int) -> None:
    context = Context(
        task="fc",
        workload=WORKLOAD.to_dict(),
        target=Target.named("llvm"),
        space_hash="0",
        strategy="random",
        seed=0,
        run="r",
    )
    begin = summary.tasks["fc"].measured
    for index in range(begin, begin + count):
        measurement = Measurement(index=index, status=Status.OK, times_s=(1e-3,))
        assert summary.add(Record(context=context, trial=index, knobs={}, measurement=measurement))


@pytest.fixture
def summary() -> RunSummary:
    workload = WORKLOAD.to_dict()
    entry = TaskEntry(name="fc", workload=workload, count=1, group="", space_hash="0", space_size=1000, default_index=0)
    return RunSummary([entry])


def test_the_time_left_follows_the_rate_of_this_start_alone(summary: RunSummary) -> None:
    clock = Clock()
    measured(summary, 50)  # by an earlier start
    progress = RunProgress(summary, total=100, clock=clock)
    clock.now_s = 10.0
    assert progress.left_s is None
    measured(summary, 10)
    assert progress.left_s == pytest.approx(40.0)


def test_a_limit_of_time_is_known_at_once_and_never_below_zero(summary: RunSummary) -> None:
    clock = Clock()
    progress = RunProgress(summary, total=None, allowed_s=60.0, clock=clock)
    assert progress.left_s == 60.0
    clock.now_s = 45.0
    assert progress.left_s == 15.0
    clock.now_s = 100.0
    assert progress.left_s == 0.0


def test_of_two_limits_the_nearer_counts(summary: RunSummary) -> None:
    clock = Clock()
    progress = RunProgress(summary, total=20, allowed_s=60.0, clock=clock)
    measured(summary, 10)
    clock.now_s = 10.0
    assert progress.left_s == pytest.approx(10.0)


def test_a_log_gets_a_line_an_interval_and_one_at_the_end(summary: RunSummary) -> None:
    clock = Clock()
    lines: list[str] = []
    observer = PlainObserver(lines.append, interval_s=15.0, clock=clock)
    observer.message("starting Ray ...")
    observer.started(RunProgress(summary, total=100, clock=clock))
    for second in range(1, 31):
        clock.now_s = float(second)
        measured(summary, 1)
        observer.updated()
    observer.finished()
    observer.updated()  # nothing goes on any more
    assert lines == [
        "starting Ray ...",
        "15 of 100 measured; about 1:25 left; best GFLOPS: fc 1",
        "30 of 100 measured; about 1:10 left; best GFLOPS: fc 1",
        "30 of 100 measured; best GFLOPS: fc 1",
    ]


def test_a_step_is_told_now_and_then_and_when_it_is_done() -> None:
    clock = Clock()
    lines: list[str] = []
    observer = PlainObserver(lines.append, interval_s=15.0, clock=clock)
    for done in range(1, 5):
        clock.now_s += 6.0
        observer.step("finalists", done, 4, "fast")
    assert lines == ["finalists: 4 of 4; fast"]
    clock.now_s += 100.0
    observer.step("others", 1, 4)
    clock.now_s += 15.0
    observer.step("others", 2, 4)
    assert lines[1:] == ["others: 2 of 4"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1:00"), (125, "2:05"), (3723, "1:02:03")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
