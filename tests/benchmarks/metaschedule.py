"""MetaSchedule, TVM's own tuner, against our strategies: the same layers, trials, runner settings and measurer.

MetaSchedule tunes plain NCHW layers, as it does in TVM; ours are packed. At the end the bests of all, our default
configuration and the untuned layer are measured again in turns. Each search pays for its own builds and learning.

    python tests/benchmarks/metaschedule.py --tasks rb3-conv2,rb2-sc --trials 64 --rounds 9
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np

from raydgp import config_space, search, zoo
from raydgp.measure.driving import drive
from raydgp.measure.local import LocalMeasurer
from raydgp.rivals.metaschedule import task as metaschedule
from raydgp.settings import MeasureSettings
from raydgp.space import ConfigSpace
from raydgp.targets import Target
from raydgp.templates.plain import given, untuned
from raydgp.workloads import Workload

STRATEGIES = ("random", "autotvm")
BATCH = 16

TunerResult = tuple[ConfigSpace, int, float]  # a configuration and the GFLOPS recorded of it


def ours(name: str, workload: Workload, trials: int, seed: int, measurer: LocalMeasurer) -> TunerResult:
    space = config_space(workload, "llvm")
    loop = search.Search(search.create(name, space, seed), trials, BATCH)
    for _ in drive(loop, measurer):
        pass
    assert loop.best is not None, f"{name}: no configuration ran"
    return space, *loop.best


def theirs(workload: Workload, trials: int, seed: int, measurer: LocalMeasurer) -> TunerResult:
    tuned = metaschedule.tune(workload, Target.here("llvm"), trials, seed, measurer.measure)
    assert tuned.best is not None, "MetaSchedule: no candidate ran"
    failed = sum(not m.ok for m in tuned.measurements)
    print(f"  MetaSchedule measured {len(tuned.measurements)} candidates, {failed} failed", flush=True)
    best = given(workload, "llvm", [tuned.modules[tuned.best.index]])
    return best, 0, tuned.best.gflops(workload.flops)


def untuned_gflops(workload: Workload) -> float:
    """Of a layer without a schedule, whose calls may take a second each."""
    with LocalMeasurer(Target.here("llvm"), MeasureSettings(repeat=1, run_timeout_s=100), workers=1) as measurer:
        return measurer.measure(untuned(workload, "llvm"), np.array([0]))[0].gflops(workload.flops)


def compare(workload: Workload, trials: int, rounds: int, seed: int) -> None:
    space = config_space(workload, "llvm")
    bests: dict[str, TunerResult] = {"default": (space, space.default, np.nan)}
    seconds = {"default": np.nan}
    with LocalMeasurer(Target.here("llvm"), MeasureSettings()) as measurer:
        measurer.measure(space, np.array([space.default]))  # children start and compute the reference
        for name in (*STRATEGIES, "metaschedule"):
            begin = time.monotonic()
            tune = theirs if name == "metaschedule" else lambda *rest, name=name: ours(name, *rest)
            bests[name] = tune(workload, trials, seed, measurer)
            seconds[name] = time.monotonic() - begin
        again: dict[str, list[float]] = {name: [] for name in bests}
        for _ in range(rounds):
            for name, (its_space, index, _) in bests.items():
                measured = measurer.measure(its_space, np.array([index]))[0]
                again[name].append(measured.gflops(workload.flops))
    gflops = {name: median(values) for name, values in again.items()}
    slowest = untuned_gflops(workload)
    print("               seconds  recorded      measured again over MetaSched.    over default    over untuned")
    for name, value in gflops.items():
        versus = "".join(f"{value / other:16.2f}" for other in (gflops["metaschedule"], gflops["default"], slowest))
        spread = f"{value:8.1f} ({min(again[name]):.0f}-{max(again[name]):.0f})"
        print(f"  {name:12s}{seconds[name]:8.1f}{bests[name][2]:10.1f}{spread:>20s}{versus}")
    print(f"  untuned{slowest:31.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--tasks", default="rb3-conv2,rb2-sc", help="names, separated by commas")
    parser.add_argument("--trials", type=int, default=64, help="measurements that each tuner may take")
    parser.add_argument("--rounds", type=int, default=9, help="measurements in turns at the end")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    workloads = {task.name: task.workload for task in zoo.tasks(options.model)}
    for name in options.tasks.split(","):
        print(f"{options.model}/{name} {workloads[name]}: {options.trials} trials", flush=True)
        compare(workloads[name], options.trials, options.rounds, options.seed)


if __name__ == "__main__":
    main()
