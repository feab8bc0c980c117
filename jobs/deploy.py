"""`raydgp deploy` as a Ray job.

    ray job submit --address http://127.0.0.1:8265 --working-dir . --entrypoint-num-cpus 2 -- \
        python jobs/deploy.py /shared/runs/quickstart --out /shared/deployed/quickstart --compare onnxruntime

The model is compiled and measured on the node that the job lands on: ask for one of the kind that the run was tuned on
(`--entrypoint-num-gpus 1`, `--entrypoint-resources '{"node:ADDRESS": 0.01}'`), and for all of its cores.
"""

from __future__ import annotations

import sys
from pathlib import Path

from raydgp.cli.jobs import refuse, run, storage


def options(given: list[str]) -> list[str]:
    """Of `raydgp deploy`, for a job that was given these."""
    storage(given, "--out")
    if not any(Path(value).is_absolute() and (Path(value) / "run.json").exists() for value in given):
        refuse("a job needs RUN as the absolute path of a run's folder")
    return given


if __name__ == "__main__":
    run("deploy", options(sys.argv[1:]))
