"""What all commands share: where they print, and how machines ask for JSON."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

out = Console()
progress = Console(stderr=True)  # so that stdout holds the result alone

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document for machines.")


def run_dir_of(run: Path) -> Path:
    """A folder as it is, a bare name as a run under `runs`."""
    return run if run.is_dir() or run.parent != Path() else Path("runs") / run
