"""A command of raydgp as a Ray job. A job's working directory is a copy that Ray throws away: results lie elsewhere."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from raydgp.cli.commands import main


def storage(given: list[str], option: str) -> Path:
    """The folder or file that an option names and that outlives the job; the job ends where it would not."""
    path = next((Path(value) for name, value in pairwise(given) if name == option), None)
    if path is None or not path.is_absolute():
        refuse(f"a job needs {option} with an absolute path on storage that outlives it")
    return path


def refuse(reason: str) -> NoReturn:
    """Ends the job as the command line ends for bad input."""
    print(f"raydgp: {reason}", file=sys.stderr)
    sys.exit(2)


def with_mlflow(given: list[str], folder: Path) -> list[str]:
    """Options with MLflow's database in a folder, unless they name a server."""
    return given if "--mlflow-uri" in given else [*given, "--mlflow-uri", f"sqlite:///{folder}/mlflow.db"]


def run(command: str, options: list[str]) -> None:
    """The command line of raydgp, with its exit codes."""
    sys.argv = ["raydgp", command, *options]
    main()
