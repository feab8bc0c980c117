"""The commands on runs, and the group of all of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

import raydgp
from raydgp import app, cli, reports, search, tracking
from raydgp.cli.bundles import bundle
from raydgp.cli.deploying import deploy
from raydgp.cli.inspect import inspect
from raydgp.cli.listing import listing
from raydgp.cli.options import common_options, progress_option, settings_of, settings_options, verbose_option
from raydgp.cli.shared import RunPath, run_command, run_dir_of
from raydgp.cli.studies import compare, history, pretrain
from raydgp.errors import InputError
from raydgp.settings import TuneSettings, source_of
from raydgp.targets import kinds


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(raydgp.__version__, package_name="raydgp")
@verbose_option
def group() -> None:
    """Make a neural network run faster on the hardware at hand."""


@group.command()
@click.argument("whole", metavar="[MODEL]", required=False)
@settings_options(
    TuneSettings,
    *("model", "inputs", "tasks", "target", "strategy", "options", "trials", "minutes", "batch", "seed", "run"),
    *(
        "runs_dir",
        "models_dir",
        "ray.address",
        "mlflow.uri",
        "mlflow.enabled",
        "mlflow.required",
        "mlflow.system_metrics",
    ),
    flags={"inputs": "input"},
    known={"model": lambda: list(raydgp.zoo.NETWORKS), "target": kinds, "strategy": lambda: search.names()},
)
@click.option(
    "--preset",
    help="Named options of the strategy, such as small; --options go over it. See raydgp list strategies NAME.",
)
@progress_option
@common_options
def tune(whole: str | None, config: Path | None, preset: str | None, as_json: bool, **given: Any) -> None:
    """Search the fastest schedules of a model's layers.

    MODEL is a whole model: a .pt2 or .onnx file, package.module:function (returns an nn.Module and example inputs), or
    one of the papers' networks by its name. Without it, --model names the papers' layer table of a network. The same
    command again resumes.
    """
    if whole and given["model"]:
        raise InputError("give MODEL for a whole model or --model for a layer table, not both")
    if whole:
        given["model"] = source_of(whole)
    if preset:
        given["options"] = {"preset": preset} | (given["options"] or {})
    settings = settings_of(TuneSettings, config, given)
    found = app.tune.tune(settings, cli.live.observer_of(cli.console.progress))
    if as_json:
        click.echo(json.dumps(found.to_dict()))
        return
    cli.display.print_report(cli.console.out, found.summary, found.manifest.peak_gflops)
    for note in found.notes:
        cli.console.say(note)
    if settings.is_imported:
        cli.console.say(f"The whole model, compiled and measured: raydgp deploy {found.folder}")
    cli.console.say(f"Results: {found.folder}  (again: raydgp report {found.folder})")


@group.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=RunPath())
@click.option("--html", "page", type=click.Path(path_type=Path), help="Page to write: of RUN, or of several compared.")
@click.option("--figures", type=click.Path(path_type=Path), help="Folder to draw RUN's figures to, as SVG and PDF.")
@common_options
def report(runs: tuple[Path, ...], page: Path | None, figures: Path | None, as_json: bool) -> None:
    """Show what RUN has found, from its journal.

    RUN is a folder, or the name of one under `runs`. With --html it is one self-contained page, or a page that compares
    several runs.
    """
    folders = [run_dir_of(run) for run in runs]
    if figures and len(folders) > 1:
        raise InputError("--figures are of one run; give one")
    if figures:
        reports.run_figures.write(folders[0], figures)
    if page:
        reports.write(folders, page)
    if written := {name: str(path) for name, path in (("page", page), ("figures", figures)) if path}:
        click.echo(json.dumps(written)) if as_json else cli.console.say(f"Results: {', '.join(written.values())}")
        return
    if len(folders) > 1:
        raise InputError("give --html FILE, the page that compares several runs")
    found = app.run.Run.open(folders[0])
    if as_json:
        click.echo(json.dumps(found.to_dict()))
        return
    cli.display.print_report(cli.console.out, found.summary, found.manifest.peak_gflops)
    cli.display.print_models(cli.console.out, found.manifest.models)
    for note in found.notes:
        cli.console.say(note)
    cli.console.say(f"Results: {found.folder}")


@group.command()
@click.argument("run", type=RunPath())
@common_options
def sync(run: Path, as_json: bool) -> None:
    """Send to MLflow what it lacks of RUN.

    To do so twice does no harm. RUN is a folder, or the name of one under `runs`.
    """
    where = tracking.sync(run_dir_of(run))
    if as_json:
        click.echo(json.dumps({"results": str(where)}))
        return
    cli.console.say(f"Results: {where}")


@group.command()
@click.option("--clean", is_flag=True, help="Remove the temporary folders that killed runs have left.")
@common_options
def doctor(clean: bool, as_json: bool) -> None:
    """Check what this machine has for tuning.

    For what is missing, it says how to fix it.
    """
    findings = [*([app.doctor.cleaned()] if clean else []), *app.doctor.examine()]
    if as_json:
        click.echo(json.dumps([vars(finding) for finding in findings]))
    else:
        cli.console.out.print(cli.display.findings_table(findings))
    if any(finding.state == "broken" for finding in findings):
        raise SystemExit(1)


for command in (inspect, listing, pretrain, history, compare, deploy, bundle):
    group.add_command(command)


def main() -> None:
    """Entry point: every error on purpose becomes one line."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    run_command(lambda: group(prog_name="raydgp", standalone_mode=False))
