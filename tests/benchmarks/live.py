"""Strategies compared on the live machine, on whole spaces of tasks that were not recorded.

    raydgp pretrain znver4 --out models --no-register
    python tests/benchmarks/live.py --models models

Every strategy measures its budget; then the best configurations of all are measured again in turns, and what came out
best is the 100 % that the counts refer to. Nothing else may run meanwhile.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from raydgp import config_space, search, zoo
from raydgp.measure.driving import drive
from raydgp.measure.local import LocalMeasurer
from raydgp.settings import MeasureSettings
from raydgp.targets import Target

TASKS = ["resnet18/rb2-conv2", "vgg16/conv4-1", "mobilenet_v1/sp-6-conv2", "mobilenet_v1/sp-7-dp1"]
STRATEGIES = ["random", "autotvm", "bao", "dgp", "dgp+"]
BATCH = 8
FINALISTS = 3  # of each search, measured again
ROUNDS = 5


def searched(name: str, space: Any, measurer: LocalMeasurer, trials: int, models: Path) -> pd.DataFrame:
    """One search: configuration, GFLOPS and seconds since its start, a row a measurement."""
    began, rows = time.perf_counter(), []
    options = search.with_models(name, {"preset": "small"}, models)
    loop = search.Search(search.create(name, space, 0, **options), trials, BATCH)
    for part in drive(loop, measurer):
        seconds = time.perf_counter() - began
        rows += [(m.index, m.gflops(space.workload.flops), seconds) for m in part.measurements]
    return pd.DataFrame(rows, columns=["index", "gflops", "seconds"])


def again(space: Any, measurer: LocalMeasurer, indices: list[int]) -> dict[int, float]:
    """Median GFLOPS over rounds in which all take turns."""
    rounds = [
        [m.gflops(space.workload.flops) for m in measurer.measure(space, np.array(indices))] for _ in range(ROUNDS)
    ]
    return dict(zip(indices, np.median(rounds, axis=0).tolist(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--trials", type=int, default=96)
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    given = parser.parse_args()
    target = Target.here("llvm")
    rows = []
    with LocalMeasurer(target, MeasureSettings()) as measurer:
        for task in given.tasks:
            network, name = task.split("/")
            (workload,) = (t.workload for t in zoo.tasks(network) if t.name == name)
            space = config_space(workload, "llvm")
            runs = {s: searched(s, space, measurer, given.trials, given.models) for s in given.strategies}
            best = [run.nlargest(FINALISTS, "gflops")["index"] for run in runs.values()]
            confirmed = again(space, measurer, sorted({int(i) for part in best for i in part} | {space.default}))
            top = max(confirmed.values())
            for strategy, run in runs.items():
                so_far = run["gflops"].cummax()
                row = {"task": task, "strategy": strategy}
                for share in (0.9, 0.95, 0.99):
                    reached = np.flatnonzero(so_far >= share * top)
                    row[f"to {share:.0%}"] = int(reached[0] + 1) if len(reached) else None
                finalists = run.nlargest(FINALISTS, "gflops")["index"]
                row["best of all"] = max(confirmed[int(i)] for i in finalists) / top
                row["over default"] = row["best of all"] * top / confirmed[space.default]
                row["seconds"] = run["seconds"].iloc[-1]
                rows.append(row)
            print(pd.DataFrame(rows[-len(runs) :]).round(2).to_string(index=False), flush=True)
    table = pd.DataFrame(rows)
    table.to_csv("live.csv", index=False)
    print(table.groupby("strategy", sort=False)[["best of all", "over default", "seconds"]].median().round(3))


if __name__ == "__main__":
    main()
