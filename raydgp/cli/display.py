"""What the terminal shows: the table of a run, comparisons, and the findings of the doctor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from raydgp.app.doctor import Finding
from raydgp.records.confidence import expected_line
from raydgp.records.model_latency import ModelLatency
from raydgp.records.summary import RunSummary, TaskSummary

if TYPE_CHECKING:
    import pandas as pd

    from raydgp.app.pretraining import Artefact  # loads torch
    from raydgp.rivals.latency import Latency

_QUIET_SHARE = 0.05  # of measurements, that are disturbed on a machine that does nothing else
_NAMED = 4  # layers that a line names
_NUMBER = 6  # characters of most numbers
_SHORTEST = 12  # characters of a name, at least
_HEADER = 3  # lines of a table's header, at most


def layer_table(summary: RunSummary, peak_gflops: float | None, width: int, room: int | None = None) -> Table:
    """A row a task. Names that would push the numbers out of the terminal are cut.

    Tasks that are held against TVM without a schedule show that; those of a whole model their share of its time. Of
    the algorithms that compute a layer, only the fastest has a share.

    Args:
        width: characters of the terminal.
        room: lines that the table may have; then it shows the tasks that take most of the time, and how many more
            there are.
    """
    tasks, chosen = list(summary.tasks.values()), summary.chosen
    table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True)
    held = any(task.untuned_gflops for task in tasks)
    before = ["untuned TVM"] if held else ["calls", "% of model time"]
    after = ["failed", "seconds"] if held else []
    widths = {
        title: max(_NUMBER, *map(len, title.split()))
        for title in (*before, "default", "best GFLOPS", "speedup", "% of peak", "measured", *after)
    }
    names = max(_SHORTEST, width - sum(widths.values()) - len(widths))
    table.add_column("task", no_wrap=True, overflow="ellipsis", max_width=names)
    for title, least in widths.items():
        table.add_column(title, justify="right", width=least)
    total_s = summary.network().best_s
    shown = tasks if room is None else _foremost(tasks, room - _HEADER - 1)
    for task in shown:
        share = f"{task.calls * task.latency_s / total_s:.0%}" if task.best and task in chosen else "-"
        table.add_row(
            task.name,
            *([_figure(task.untuned_gflops)] if held else [str(task.calls), share]),
            "failed" if task.default and not task.default.ok else _figure(task.default_gflops),
            _figure(task.gflops),
            "-" if math.isnan(task.speedup) else f"{task.speedup:.2f}x",
            f"{task.gflops / peak_gflops:.0%}" if peak_gflops and task.best else "-",
            str(task.measured),
            *([str(task.failed), f"{task.busy_s:.0f}"] if held else []),
        )
    if len(shown) < len(tasks):
        table.add_row(f"and {len(tasks) - len(shown)} more")
    return table


def _figure(gflops: float) -> str:
    return f"{gflops:.{0 if gflops >= 1000 else 1}f}" if gflops else "-"


def _foremost(tasks: Sequence[TaskSummary], most: int) -> list[TaskSummary]:
    """As many tasks as there is room for: those on which the network spends most, in the order of the run."""
    if len(tasks) <= most + 1:
        return list(tasks)
    heaviest = sorted(tasks, key=lambda task: task.calls * task.latency_s if task.best else 0.0, reverse=True)
    return [task for task in tasks if task in heaviest[: max(1, most)]]


def print_report(console: Console, summary: RunSummary, peak_gflops: float | None) -> None:
    """The final table and what it means for the whole network."""
    console.print(layer_table(summary, peak_gflops, console.width))
    for line in network_lines(summary):
        console.print(line, soft_wrap=True)
    if line := expected_line(summary):
        console.print(line, soft_wrap=True)
    if peak_gflops:
        console.print(
            f"Measured peak of this machine: {peak_gflops:.0f} GFLOPS (fp32 multiply-adds, all threads).",
            soft_wrap=True,
        )
    if len(summary.chosen) < len(summary.tasks):
        said = "Winograd's GFLOPS are of the direct convolution's operations, of which it needs fewer."
        console.print(said, soft_wrap=True)


def print_models(console: Console, models: Sequence[ModelLatency]) -> None:
    """A line for each whole model that was measured: how long it takes, and where most of that goes."""
    for model in models:
        if not model.times_s:
            console.print(f"{model.name} as a whole: {model.status}: {model.error}", soft_wrap=True)
            continue
        heaviest = sorted(model.kernels, key=lambda kernel: kernel.time_s, reverse=True)[:_NAMED]
        whole_s = sum(kernel.time_s for kernel in model.kernels)
        shares = ", ".join(f"{kernel.name} {kernel.time_s / whole_s:.0%}" for kernel in heaviest)
        console.print(f"{model.name} as a whole: {1e3 * model.median_s:.3f} ms; {shares}.", soft_wrap=True)


def network_lines(summary: RunSummary) -> list[str]:
    """What all calls of the network's layers take: the sum of what is known, and what is missing from it."""
    network, untuned_s = summary.network(), summary.untuned_s()
    known = network.layers - len(network.unmeasured)
    if not known:
        return []
    calls = sum(task.calls for task in summary.chosen if task.best)
    whole = not network.unmeasured and not network.without_default
    which = f"All {calls} calls of these layers" if known == network.layers else f"The {calls} calls of {known} layers"
    parts = [f"{untuned_s * 1e3:.0f} ms by untuned TVM"] if untuned_s else []
    parts += [f"{network.default_s * 1e3:.2f} ms by the default configurations"] if whole else []
    parts.append(f"{network.best_s * 1e3:.2f} ms tuned")
    gains = [] if math.isnan(network.speedup) else [f"{network.speedup:.2f}x faster than the defaults"]
    gains += [f"{untuned_s / network.best_s:.0f}x faster than untuned"] if untuned_s and known == network.layers else []
    lines = [f"{which}: {', '.join(parts)}{': ' if gains else ''}{', '.join(gains)}."]
    if network.unmeasured:
        lines.append(f"Without a result, and not in this sum: {_some(network.unmeasured)}.")
    if missing := [name for name in network.without_default if name not in network.unmeasured]:
        lines.append(f"No default to compare with, and not in the speedup: {_some(missing)}.")
    if summary.disturbed > _QUIET_SHARE * summary.measured:
        lines.append(
            f"The machine was busy: {summary.disturbed} of {summary.measured} measurements were disturbed by other "
            "processes, so that these times may be too long."
        )
    return lines


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _ms(value: float) -> str:
    """Milliseconds with two decimals, or three digits of less than one."""
    return f"{value:.2f}" if value >= 1 else f"{value:#.3g}"


def print_latencies(console: Console, latencies: Mapping[str, Latency | str]) -> None:
    """Runtimes of a model, the fastest first, with the ratio to ours; below them why others did not run."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("runtime", no_wrap=True)
    for title in ("median ms", "95 % interval", "p95 ms", "runs", "error", "vs raydgp"):
        table.add_column(title, justify="right")
    ran = {name: latency for name, latency in latencies.items() if not isinstance(latency, str)}
    ours = ran.get("raydgp")
    for name, latency in sorted(ran.items(), key=lambda way: way[1].median_ms):
        ratio = latency.median_ms / ours.median_ms if ours else math.nan
        interval = f"{_ms(latency.median_low_ms)}-{_ms(latency.median_high_ms)}"
        counts = [_ms(latency.p95_ms), str(latency.runs), f"{latency.error:.0e}", f"{ratio:.2f}x"]
        table.add_row(name, _ms(latency.median_ms), interval, *counts)
    console.print(table)
    defaults = ran.get("defaults")
    if ours and defaults and defaults.median_high_ms < ours.median_low_ms:
        console.print(
            "The default configurations were faster than the tuned ones here: the machine was busy, or the search too "
            "short. Deploy again when it is quiet, or tune for longer.",
            soft_wrap=True,
        )
    for name, reason in latencies.items():
        if isinstance(reason, str):
            console.print(f"{name} did not run: {reason}", soft_wrap=True)


def findings_table(findings: Sequence[Finding]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("what", "state", "found", "remedy"):
        table.add_column(title, overflow="fold")
    colours = {"ok": "green", "absent": "yellow", "broken": "red"}
    for finding in findings:
        colour = colours[finding.state]
        table.add_row(finding.what, f"[{colour}]{finding.state}[/]", finding.detail, finding.remedy)
    return table


def frame_table(frame: pd.DataFrame) -> Table:
    """A frame of texts, the first column to the left."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for place, title in enumerate(frame.columns):
        table.add_column(str(title), justify="right" if place else "left")
    for row in frame.to_numpy().tolist():
        table.add_row(*row)
    return table


def artefact_table(made: Sequence[Artefact]) -> Table:
    """Pre-trained surrogates, a row each."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("artefact", overflow="fold")
    for title in ("tasks", "measurements", "held out by", "Spearman", "NDCG@100"):
        table.add_column(title, justify="right")
    for artefact in made:
        held = artefact.card.held_out
        figures = [f"{held[key]:.2f}" if held.get(key) is not None else "-" for key in ("spearman", "ndcg")]
        counts = [str(artefact.card.tasks), str(artefact.card.records)]
        table.add_row(artefact.folder.name, *counts, str(held.get("by", "-")), *figures)
    return table
