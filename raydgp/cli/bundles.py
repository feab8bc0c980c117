"""Commands on bundles: kernels built here, measured where nothing can be installed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from raydgp import app, cli
from raydgp import bundle as bundles
from raydgp.cli.options import common_options, progress_option, settings_of, settings_options
from raydgp.settings import BundleSettings, MergeSettings, load

_path = click.Path(path_type=Path)


@click.group()
def bundle() -> None:
    """Carry kernels to a machine where nothing can be installed.

    They are built here, measured there by Python and numpy alone, and brought back as records.
    """


@bundle.command()
@click.argument("plan", type=_path)
@click.option("--out", required=True, type=_path, help="Bundle to write.")
@click.option("--carry-runner", is_flag=True, help="Put the runner's script into it, so that `python OUT` measures it.")
@progress_option
@common_options
def make(plan: Path, out: Path, carry_runner: bool, as_json: bool) -> None:
    """Build the kernels of PLAN into one file.

    PLAN is a YAML file of layers and configurations. The same command again goes on where it was stopped.
    """
    settings = load(plan, {}, BundleSettings)
    observer = cli.live.observer_of(cli.console.progress)
    tell = cli.live.counted(observer, "kernels built")
    models = (
        app.bundled_models.planned_models(settings, observer) if settings.models else bundles.planned_models.NO_MODELS
    )
    made = bundles.make.make(settings, out, carry_runner, tell, models)
    if as_json:
        click.echo(json.dumps(asdict(made), default=str))
        return
    whole = f" and {made.models} models" if made.models else ""
    failed = "".join(f", {count} {status}" for status, count in made.failed.items())
    size = f"{made.size_bytes / 1e6:.1f} MB in {made.wall_s:.0f} s"
    cli.console.say(f"{made.kernels} kernels of {made.tasks} tasks{whole}{failed}; {size}. Results: {out}")


@bundle.command()
@click.argument("file", metavar="BUNDLE", type=_path)
@click.option("--out", type=_path, required=True, help="File of results, JSON lines.")
@click.option("--minutes", type=float, required=True, help="Minutes that it may take, whatever happens.")
@common_options
def run(file: Path, out: Path, minutes: float, as_json: bool) -> None:
    """Measure the kernels of BUNDLE on this machine.

    It does what the script of `raydgp bundle script` does without raydgp. The same command again goes on.
    """
    found = bundles.runner.command.run(file, out, minutes)
    if as_json:
        click.echo(json.dumps(found))
        return
    cli.console.say(f"{found['measured']} of {found['kernels']} kernels measured. Results: {found['results']}")


@bundle.command()
@click.argument("out", type=_path)
@common_options
def script(out: Path, as_json: bool) -> None:
    """Write the runner as one script to OUT, such as run_bundle.pyz.

    `python run_bundle.pyz BUNDLE --out FILE --minutes M` measures where Python 3.11 and numpy are all there is.
    """
    bundles.script.write_script(out)
    if as_json:
        click.echo(json.dumps({"script": str(out)}))
        return
    cli.console.say(f"Results: {out}")


@bundle.command()
@click.argument("file", metavar="BUNDLE", type=_path)
@click.argument("results", nargs=-1, required=True, type=_path)
@settings_options(
    MergeSettings,
    *("out", "mlflow.uri", "mlflow.enabled", "mlflow.experiment"),
    flags={"mlflow.enabled": "mlflow"},
)
@common_options
def merge(file: Path, results: tuple[Path, ...], config: Path | None, as_json: bool, **given: Any) -> None:
    """Make a run of the RESULTS of BUNDLE.

    Its folder is read by `report`, `sync`, `tune` and `pretrain` like any run's. Beside the journal it holds the
    records as one Parquet file, and a file for each grid that was measured as a whole, which `compare` takes.
    """
    made = app.bundles.merge_into_run(file, results, settings_of(MergeSettings, config, given))
    if as_json:
        found = asdict(made) | {"models": [model.to_dict() for model in made.models]}
        click.echo(json.dumps(found, default=str))
        return
    cli.display.print_models(cli.console.out, made.models)
    cli.console.say(f"{made.measured} of {made.kernels} measured, {made.records} records. Results: {made.folder}")
    if made.spaces:
        cli.console.say(f"{len(made.spaces)} whole spaces: raydgp compare {made.spaces[0].parent}")
    if made.note:
        cli.console.say(made.note)
