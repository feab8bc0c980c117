"""The page: one file of HTML with its style and figures in it, which asks nothing of a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from raydgp.errors import InputError
from raydgp.records import RunFolder
from raydgp.records.manifest import write_atomically
from raydgp.reports import charts
from raydgp.reports.comparison import Comparison
from raydgp.reports.views import RunView

_ENVIRONMENT = Environment(
    loader=PackageLoader("raydgp.reports"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def html(runs: Sequence[RunFolder]) -> str:
    """The page of a run, or of several side by side.

    Raises:
        InputError: a folder is not a run.
    """
    views = [RunView.of(run) for run in runs]
    if len(views) == 1:
        return _ENVIRONMENT.get_template("run.html.j2").render(run=views[0], charts=charts)
    return _ENVIRONMENT.get_template("comparison.html.j2").render(comparison=Comparison(views), charts=charts)


def write(run_dirs: Sequence[Path], path: Path) -> None:
    """Writes the page of one or several runs' folders as a whole or not at all.

    Raises:
        InputError: a folder is not a run, or the file cannot be written.
    """
    text = html([RunFolder(run_dir) for run_dir in run_dirs])
    try:
        write_atomically(path, text)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give --html a file in a folder that can be written") from None
