"""`raydgp tune` as a Ray job.

    ray job submit --address http://127.0.0.1:8265 --working-dir . -- \
        python jobs/tune.py --config quickstart --runs-dir /shared/runs

Submitting the same command again resumes. It takes the options of `raydgp tune`; MLflow's database lies beside the runs
unless --mlflow-uri says otherwise. A server of MLflow that does not answer stops no job: what was measured is sent
later.
"""

from __future__ import annotations

import sys

from raydgp.cli.jobs import run, storage, with_mlflow


def options(given: list[str]) -> list[str]:
    """Of `raydgp tune`, for a job that was given these."""
    runs_dir = storage(given, "--runs-dir")
    if "--mlflow-required" not in given:
        given = [*given, "--no-mlflow-required"]
    return with_mlflow(given, runs_dir)


if __name__ == "__main__":
    run("tune", options(sys.argv[1:]))
