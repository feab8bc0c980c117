"""The command line. Exit codes: 0 done, 2 bad input in one line that says what to do, 1 anything else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from raydgp import settings as settings_module
from raydgp.app import doctor as doctor_checks
from raydgp.cli.deploying import deploy
from raydgp.cli.display import findings_table, print_report
from raydgp.cli.live import observer_of
from raydgp.cli.shared import as_json_option, out, progress, run_command, run_dir_of
from raydgp.cli.studies import compare, history, pretrain
from raydgp.errors import InputError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="raydgp")
def cli() -> None:
    """Tunes the kernels of a neural network for the hardware at hand."""


def _text(name: str, key: str, help: str, kind: Any = str) -> Callable[[Any], Any]:
    return click.option(f"--{name}", key, type=kind, default=None, help=help)


@cli.command()
@click.argument("whole", metavar="[MODEL]", required=False)
@_text("config", "config", "YAML file; the options below go over it.", click.Path(path_type=Path))
@_text("model", "model", "Layer table of the papers: alexnet, resnet18, vgg16, mobilenet_v1, squeezenet_v1_1.")
@_text("tasks", "tasks", "Names of its layer tasks, separated by commas; all by default.")
@_text("target", "target", "llvm (this machine's CPU, the default) or cuda.")
@_text("strategy", "strategy", "How to search; autotvm by default.")
@_text("trials", "trials", "Configurations measured for each task; 64 by default.", int)
@_text("minutes", "minutes", "Time to tune, shared among the tasks by what they gain.", float)
@_text("batch", "batch", "Configurations a Tune trial measures; 16 by default.", int)
@_text("seed", "seed", "Seed of all random streams; 0 by default.", int)
@_text("run", "run", "Name of the run; the same name resumes it.")
@_text("runs-dir", "runs_dir", "Folder of the runs; `runs` by default.", click.Path(path_type=Path))
@_text(
    "models-dir", "models_dir", "Pre-trained models of dgp and dgp+; `models` by default.", click.Path(path_type=Path)
)
@_text("ray-address", "ray_address", "A running Ray cluster; one is started here by default.")
@_text("mlflow-uri", "mlflow_uri", "MLflow tracking URI; sqlite:///mlflow.db by default.")
@as_json_option
def tune(whole: str | None, config: Path | None, as_json: bool, **given: Any) -> None:
    """Measures and searches the layers of a model; the same command again resumes.

    MODEL is a whole model: a .pt2 or .onnx file, package.module:function (returns an nn.Module and example inputs), or
    one of the papers' networks by its name. Without it, --model names the papers' layer table of a network.
    """
    from raydgp.app import tune as tuning

    if whole and given["model"]:
        raise InputError("give MODEL for a whole model or --model for a layer table, not both")
    if whole:
        given["model"] = whole if ":" in whole or Path(whole).suffix in (".pt2", ".onnx") else f"zoo:{whole}"
    tasks, ray_address, mlflow_uri = (given.pop(key) for key in ("tasks", "ray_address", "mlflow_uri"))
    overrides = {
        **given,
        "tasks": [name.strip() for name in tasks.split(",") if name.strip()] if tasks is not None else None,
        "ray": {"address": ray_address},
        "mlflow": {"uri": mlflow_uri},
    }
    settings = settings_module.load(config, overrides, settings_module.TuneSettings)
    outcome = tuning.run(settings, observer_of(progress))
    if as_json:
        click.echo(json.dumps(outcome.to_dict()))
        return
    print_report(out, outcome.summary, outcome.manifest.peak_gflops)
    out.print(f"Results: {outcome.run_dir}  (again: raydgp report {outcome.run_dir})", soft_wrap=True)
    if settings.is_imported:
        out.print(f"The whole model, compiled and measured: raydgp deploy {outcome.run_dir}", soft_wrap=True)
    for note in outcome.notes:
        out.print(note, soft_wrap=True)


@cli.command()
@click.argument("run", type=click.Path(path_type=Path))
@as_json_option
def report(run: Path, as_json: bool) -> None:
    """Shows what RUN (a folder, or a name under `runs`) has found, from its journal."""
    from raydgp.app import tune as tuning

    outcome = tuning.read(run_dir_of(run))
    if as_json:
        click.echo(json.dumps(outcome.to_dict()))
        return
    print_report(out, outcome.summary, outcome.manifest.peak_gflops)
    for note in outcome.notes:
        out.print(note, soft_wrap=True)
    out.print(f"Results: {outcome.run_dir}", soft_wrap=True)


@cli.command()
@click.argument("run", type=click.Path(path_type=Path))
def sync(run: Path) -> None:
    """Sends to MLflow what its server has not got of RUN; twice does no harm."""
    from raydgp import tracking

    where = tracking.sync(run_dir_of(run))
    out.print(f"Results: {where}", soft_wrap=True)


@cli.command()
@as_json_option
def doctor(as_json: bool) -> None:
    """Looks at what this machine has for tuning, and says how to mend what it lacks."""
    findings = list(doctor_checks.examine())
    if as_json:
        click.echo(json.dumps([vars(finding) for finding in findings]))
    else:
        out.print(findings_table(findings))
    if any(finding.state == "broken" for finding in findings):
        raise SystemExit(1)


for command in (pretrain, history, compare, deploy):
    cli.add_command(command)


def main() -> None:
    """Entry point: every error on purpose becomes one line."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    run_command(lambda: cli(standalone_mode=False))
