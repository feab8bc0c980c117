"""`raydgp list`: what there is to choose from: runs, strategies with their options, tasks of the layer tables."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import click
from rich.table import Table

import raydgp
from raydgp import app, cli, search
from raydgp.cli.options import common_options

_WHOLE = ("begun", "state")  # columns that would be no words any more if they were broken


@click.group(name="list")
def listing() -> None:
    """List runs, strategies, or the tasks of a layer table."""


@listing.command()
@click.option("--runs-dir", type=click.Path(path_type=Path), default=Path("runs"), help="Folder of the runs.")
@common_options
def runs(runs_dir: Path, as_json: bool) -> None:
    """List the runs of a folder, the newest last."""
    rows = [_row(run) for run in app.run.Run.all_in(runs_dir)]
    devices = {row["device"] for row in rows}
    if len(devices) == 1 and not as_json:  # 80 columns hold no long name in each row
        cli.console.say(f"All on {devices.pop() or 'an unknown device'}:")
        rows = [{key: value for key, value in row.items() if key != "device"} for row in rows]
    _show(rows, as_json, f"No runs in {runs_dir}: make one with raydgp tune MODEL.")


@listing.command()
@click.argument("strategy", required=False)
@common_options
def strategies(strategy: str | None, as_json: bool) -> None:
    """List the strategies, or the options and presets of STRATEGY."""
    if strategy is None:
        _show([{"strategy": name, "what it is": _purpose(name)} for name in search.names()], as_json)
        return
    rows = [
        {"option": option, "default": told.get("default"), "meaning": told.get("description", "")}
        for option, told in search.describe(strategy).items()
    ]
    presets = search.presets(strategy)
    if as_json:
        click.echo(json.dumps({"options": rows, "presets": presets}))
        return
    _show(rows, as_json, f"{strategy} has no options.")
    for name, options in presets.items():
        said = ", ".join(f"{key}={value}" for key, value in options.items()) or "the defaults"
        cli.console.say(f"--preset {name}: {said}")


@listing.command()
@click.argument("model")
@common_options
def tasks(model: str, as_json: bool) -> None:
    """List the tasks of MODEL's layer table; `raydgp inspect` lists those of a whole model."""
    found = raydgp.zoo.tasks(model)
    _show([{"task": task.name, "calls": task.count, "workload": str(task.workload)} for task in found], as_json)


def _row(run: app.run.Run) -> dict[str, Any]:
    manifest, network = run.manifest, run.summary.network()
    return {
        "run": run.name,
        "begun": datetime.fromtimestamp(manifest.created_unix_s).strftime("%Y-%m-%d %H:%M"),
        "model": manifest.settings["model"],
        "device": manifest.device.get("name", ""),
        "strategy": manifest.settings.get("strategy", ""),
        "measured": run.summary.measured,
        "ms tuned": round(1e3 * network.best_s, 3) if not network.unmeasured else None,
        "state": "finished" if manifest.finished_unix_s else "not finished",
    }


def _purpose(name: str) -> str:
    """The first sentence of what a strategy's class says of itself."""
    text = " ".join((search.named(name).__doc__ or "").split())
    return text.partition(". ")[0].rstrip(".")


def _show(rows: list[dict[str, Any]], as_json: bool, empty: str = "") -> None:
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        cli.console.say(empty)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title, value in rows[0].items():
        justify: Literal["left", "right"] = "right" if isinstance(value, int | float) else "left"
        table.add_column(title, justify=justify, overflow="fold", no_wrap=title in _WHOLE)
    for row in rows:
        table.add_row(*("-" if value is None else str(value) for value in row.values()))
    cli.console.out.print(table)
