"""`raydgp tune` as a Ray job.

    ray job submit --address http://127.0.0.1:8265 --working-dir . -- \
        python jobs/tune.py --config quickstart --runs-dir /shared/runs

A job's working directory is a copy that Ray throws away, so the runs must lie elsewhere: submitting the same command
again then resumes. It takes the options of `raydgp tune`; MLflow's database lies beside the runs unless
--mlflow-uri says otherwise. A server of MLflow that does not answer stops no job: what was measured is sent later.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

from raydgp.cli import main


def arguments(given: list[str]) -> list[str]:
    """The command line of `raydgp tune` for a job that was given these options."""
    runs_dir = next((Path(value) for option, value in pairwise(given) if option == "--runs-dir"), None)
    if runs_dir is None or not runs_dir.is_absolute():
        sys.exit("raydgp: a job needs --runs-dir with an absolute path on storage that outlives it")
    if "--mlflow-required" not in given:
        given = [*given, "--no-mlflow-required"]
    if "--mlflow-uri" not in given:
        given = [*given, "--mlflow-uri", f"sqlite:///{runs_dir}/mlflow.db"]
    return ["raydgp", "tune", *given]


if __name__ == "__main__":
    sys.argv = arguments(sys.argv[1:])
    main()
