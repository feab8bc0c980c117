"""Commands on bundles: kernels built here, measured where nothing can be installed."""

from __future__ import annotations

import json
from pathlib import Path

import click

from raydgp import bundle as bundles
from raydgp import cli
from raydgp.cli.options import common_options

_path = click.Path(path_type=Path)


@click.group()
def bundle() -> None:
    """Carry kernels to a machine where nothing can be installed.

    They are built here, measured there by Python and numpy alone, and brought back as records.
    """


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
