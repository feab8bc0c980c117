"""What many runs cost in MLflow: python tests/benchmarks/mlflow_runs.py [RUNS] [MEASUREMENTS]

Sends so many runs (100 by default) of two tasks with so many measurements each (1000) to a new database, as `raydgp
sync` does but in this process, then searches them. Prints seconds a run, the database's size, and what a search and a
curve take.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

from mlflow import MlflowClient

from raydgp.tracking.follower import finish
from tests.support.tracked import write_run


def main() -> None:
    runs, measurements = (int(word) for word in (sys.argv[1:] + ["100", "1000"][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        took_s = []
        for number in range(runs):
            run = write_run(folder / "runs" / f"run{number}", uri, n=measurements)
            began_s = time.monotonic()
            finish(run)
            took_s.append(time.monotonic() - began_s)
        print(f"{runs} runs of 2 x {measurements} measurements: first {took_s[0]:.1f} s, last {took_s[-1]:.1f} s each")
        print(f"database {(folder / 'mlflow.db').stat().st_size / 1e6 / runs:.2f} MB a run")
        client = MlflowClient(tracking_uri=uri)
        (experiment,) = [each for each in client.search_experiments() if each.name != "Default"]
        began_s = time.monotonic()
        found = client.search_runs([experiment.experiment_id], "params.task = 'a'", max_results=1000)
        search_s = time.monotonic() - began_s
        began_s = time.monotonic()
        curve = client.get_metric_history(found[0].info.run_id, "best/latency_us")
        curve_s = time.monotonic() - began_s
        print(f"a search that finds {len(found)} runs {search_s:.2f} s, a curve of {len(curve)} points {curve_s:.3f} s")


if __name__ == "__main__":
    main()
