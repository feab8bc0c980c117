"""What a terminal of 80 x 24 shows of a run with more tasks than it has lines."""

from __future__ import annotations

import io
import json
from typing import Any

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from raydgp.app.observer import RunProgress, SilentObserver
from raydgp.cli.display import layer_table
from raydgp.cli.live import LiveObserver, counted, observer_of
from raydgp.cli.options import progress_option
from raydgp.records import Context, Measurement, Record, Status, TaskEntry
from raydgp.records.summary import RunSummary
from raydgp.targets import Target
from raydgp.workloads import Dense

NAMES = [f"conv3x3_64_64_{k}_winograd" for k in range(33)]


def summary_of(names: list[str], untuned_s: float | None = None) -> RunSummary:
    workloads = [Dense(n=1, k=500, m=1000 + k).to_dict() for k in range(len(names))]
    fields: dict[str, Any] = {"count": 1, "group": "", "space_hash": "0", "space_size": 9, "default_index": 0}
    entries = [
        TaskEntry(name=name, workload=workload, untuned_s=untuned_s, **fields)
        for name, workload in zip(names, workloads, strict=True)
    ]
    summary = RunSummary(entries)
    for place, entry in enumerate(entries):
        context = Context(
            task=entry.name,
            workload=entry.workload,
            target=Target.named("llvm"),
            space_hash="0",
            strategy="random",
            seed=0,
            run="r",
        )
        measurement = Measurement(index=0, status=Status.OK, times_s=(1e-3 * (1 + place),))
        assert summary.add(Record(context=context, trial=0, knobs={}, measurement=measurement))
    return summary


def terminal(height: int = 24) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80, height=height, color_system=None)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_is_cropped_and_the_bar_and_the_time_left_are_always_there() -> None:
    console = terminal()
    observer = LiveObserver(console)
    observer.started(RunProgress(summary_of(NAMES), total=330, allowed_s=100.0))
    observer.updated()
    observer.finished()
    frame = text_of(console).split("\x1b[?25l")[1].split("\x1b")[0]  # before the cursor first goes back
    lines = [line for line in frame.splitlines() if line.strip()]
    assert len(lines) < 24
    assert "33/330" in lines[-1]
    assert "about 1:40 left" in lines[-1]
    shown = [line.split()[0] for line in lines if line.startswith("conv")]
    assert shown == NAMES[-len(shown) :]  # those that take most of the time
    assert f"and {33 - len(shown)} more" in frame
    assert "…" not in frame


@pytest.mark.parametrize("untuned_s", [None, 0.1])
def test_no_word_of_the_table_is_cut_at_80_columns(untuned_s: float | None) -> None:
    console = terminal()
    names = NAMES if untuned_s is None else ["fire4-expand3x3", "sp-13-conv2"]
    console.print(layer_table(summary_of(names, untuned_s), 1000.0, console.width))
    assert "…" not in text_of(console)
    assert all(word in text_of(console) for word in ("default", "speedup", "measured", "GFLOPS", *names))


@pytest.mark.parametrize("untuned_s", [None, 0.1])
@pytest.mark.parametrize("name", ["conv3x3_512_512_72_winograd", "fused_conv2d_transpose_add2_leakyrelu_resize2d"])
def test_long_names_leave_the_numbers_their_room(name: str, untuned_s: float | None) -> None:
    console = terminal()
    summary = summary_of([name], untuned_s)
    (task,) = summary.tasks.values()
    console.print(layer_table(summary, 1000.0, console.width))
    *header, row = text_of(console).rstrip().splitlines()
    assert all(len(line) <= 80 for line in (*header, row))
    assert "measured" in header[-1]
    assert row.split()[-1 if untuned_s is None else -3] == str(task.measured)


def test_a_table_that_fits_is_whole() -> None:
    console = terminal()
    console.print(layer_table(summary_of(NAMES[:8]), None, console.width, room=21))
    assert all(name in text_of(console) for name in NAMES[:8])
    assert "more" not in text_of(console)


def test_steps_have_a_bar_that_goes_when_they_are_done() -> None:
    console = terminal()
    observer = LiveObserver(console)
    observer.step("finalists", 1, 2, "a detail")
    observer.step("finalists", 2, 2)
    assert "finalists: a detail" in text_of(console)
    observer.message("done [in brackets]")
    assert text_of(console).endswith("done [in brackets]\n")


def test_without_a_terminal_there_are_plain_lines() -> None:
    console = Console(file=io.StringIO(), width=80)
    observer_of(console).message("x" * 100)
    assert text_of(console) == "x" * 100 + "\n"


def test_what_is_counted_says_the_time_left_by_what_this_start_has_done(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s, said = [100.0], []
    monkeypatch.setattr("raydgp.cli.live.time.monotonic", lambda: now_s[0])

    class Told(SilentObserver):
        def step(self, name: str, done: float, total: float, detail: str = "") -> None:
            said.append((name, done, total, detail))

    tell = counted(Told(), "kernels built")
    tell(50, 100)  # kept from an earlier start
    now_s[0] = 110.0
    tell(60, 100)
    assert said == [("kernels built", 50, 100, ""), ("kernels built", 60, 100, "about 40 s left")]


def test_programs_get_lines_of_json_and_quiet_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(way: str) -> list[dict[str, Any]]:
        console = Console(file=io.StringIO(), width=40)

        @click.command()
        @progress_option
        def work() -> None:
            observer = observer_of(console)
            observer.message("x" * 100)
            observer.step("building", 1, 3, "one")
            observer.step("building", 2, 3)  # within the same second
            observer.step("building", 3, 3)
            observer.started(RunProgress(summary_of(NAMES[:2]), total=4))
            observer.finished()

        assert CliRunner().invoke(work, ["--progress", way], catch_exceptions=False).exit_code == 0
        return [json.loads(line) for line in text_of(console).splitlines()]

    message, first, last, progress, end = told("json")
    assert (message["event"], len(message["text"])) == ("message", 100)
    assert [first[key] for key in ("name", "done", "total", "detail")] == ["building", 1, 3, "one"]
    assert (last["done"], last["total"]) == (3, 3)
    assert (progress["event"], end["event"], end["measured"], end["total"]) == ("progress", "finished", 2, 4)
    assert end["best_ms"] == pytest.approx(3.0)
    assert told("quiet") == []
