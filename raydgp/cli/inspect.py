"""`raydgp inspect`: what raydgp makes of a model, before anything is tuned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from raydgp import app, cli, models
from raydgp.cli.options import common_options, progress_option, settings_of, settings_options
from raydgp.settings import ModelSettings, source_of
from raydgp.targets import kinds


@click.command()
@click.argument("model")
@settings_options(ModelSettings, "inputs", "target", flags={"inputs": "input"}, known={"target": kinds})
@progress_option
@common_options
def inspect(model: str, config: Path | None, as_json: bool, **given: Any) -> None:
    """Show what becomes of MODEL, without tuning.

    MODEL is as of `raydgp tune`. It is imported, compiled with default configurations and compared with onnxruntime or
    torch. Exit code 0 says that it is right, 2 with a line on why that it is not.
    """
    settings = settings_of(ModelSettings, config, {**given, "model": source_of(model)})
    models.sources.check(settings.model)  # first: torch and TVM take seconds to load
    found = app.inspect.inspect(settings, cli.live.observer_of(cli.console.progress))
    if as_json:
        click.echo(json.dumps(found.to_dict()))
        return
    cli.inspection.show(found)
