"""`raydgp deploy`: from a run to a folder that runs with TVM alone."""

from __future__ import annotations

import json
from pathlib import Path

import click

from raydgp import app, cli
from raydgp.cli.options import common_options, progress_option
from raydgp.cli.shared import RunPath, run_dir_of
from raydgp.rivals.names import RIVALS


@click.command()
@click.argument("run", type=RunPath())
@click.option("--out", "folder", type=click.Path(path_type=Path), help="Folder to write; deployed/RUN by default.")
@click.option("--compare", default="", help=f"Measured beside it, by commas: {', '.join(RIVALS)}.")
@click.option("--runs", default=600, type=click.IntRange(3), show_default=True, help="Timed calls of each.")
@click.option("--profile", is_flag=True, help="Show where a call of the model spends its time, kernel by kernel.")
@progress_option
@common_options
def deploy(run: Path, folder: Path | None, compare: str, runs: int, profile: bool, as_json: bool) -> None:
    """Compile the model of RUN with the best configurations.

    The compiled model is measured and written into a folder, with what runs it.
    Beside it stands a MetaSchedule database, for users of TVM who compile the model themselves.

    With --compare metaschedule TVM's own tuner first gets as many seconds for the same model as RUN has spent. What it
    finds is kept in RUN/metaschedule: after Ctrl-C the same command goes on, and the next one has nothing to tune.
    """
    rivals = [name.strip() for name in compare.split(",") if name.strip()]
    observer = cli.live.observer_of(cli.console.progress)
    shipped = app.deploy.deploy_run(run_dir_of(run), folder, rivals, runs, observer, profile=profile)
    if as_json:
        click.echo(json.dumps(shipped.manifest))
        return
    for size in shipped.by_size:
        if len(shipped.by_size) > 1:
            cli.console.say(", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in size.inputs.items()))
        cli.display.print_latencies(cli.console.out, size.latencies)
    if shipped.profile:
        cli.profiling.show(shipped.profile)
    cli.console.say(f"Results: {shipped.folder}  (try it: python {shipped.folder}/example.py)")
    for note in shipped.notes:
        cli.console.say(note)
