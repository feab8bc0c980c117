"""`raydgp compare` as a Ray job.

    ray job submit --address http://127.0.0.1:8265 --working-dir . --entrypoint-num-cpus 4 -- \
        python jobs/compare.py znver4 --workers 4 --out /shared/study.csv

Searches of recorded spaces need no runner, so the job needs the node's cores alone.
"""

from __future__ import annotations

import sys

from raydgp.cli.jobs import run, storage


def options(given: list[str]) -> list[str]:
    """Of `raydgp compare`, for a job that was given these."""
    storage(given, "--out")
    return given


if __name__ == "__main__":
    run("compare", options(sys.argv[1:]))
