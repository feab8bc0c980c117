"""`raydgp pretrain` as a Ray job.

    ray job submit --address http://127.0.0.1:8265 --working-dir . --entrypoint-num-cpus 4 -- \
        python jobs/pretrain.py /shared/runs znver4 --out /shared/models

`--models-dir /shared/models` lets later tuning jobs start from them. MLflow's database lies beside the models unless
--mlflow-uri says otherwise.
"""

from __future__ import annotations

import sys

from raydgp.cli.jobs import run, storage, with_mlflow


def options(given: list[str]) -> list[str]:
    """Of `raydgp pretrain`, for a job that was given these."""
    return with_mlflow(given, storage(given, "--out").parent)


if __name__ == "__main__":
    run("pretrain", options(sys.argv[1:]))
