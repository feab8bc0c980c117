"""What measuring one configuration costs by phase, and how well it repeats itself.

`python tests/benchmarks/measuring.py [configurations] [rounds]`, on a quiet machine.
"""

import statistics
import sys
import time
from typing import Any

import numpy as np

from raydgp import config_space, zoo
from raydgp.run.builder import Builder
from raydgp.run.peak import measured_peak_gflops
from raydgp.run.supervisor import Supervisor
from raydgp.settings import MeasureSettings
from raydgp.targets import Target

LAYERS = ("rb1-conv1", "rb4-conv2")
BARE = MeasureSettings(number=1, repeat=1, min_repeat_ms=0)


def main(configurations: int, rounds: int) -> None:
    target, settings = Target.here("llvm"), MeasureSettings()
    peak = measured_peak_gflops()
    print(f"peak {peak:.0f} GFLOPS, {settings!r}")
    tasks = zoo.tasks("resnet18")
    tasks = [task for task in tasks if task.name in LAYERS] or tasks[1:4:2]
    with Supervisor() as supervisor, Builder() as builder:
        for task in tasks:
            space = config_space(task.workload, "llvm")
            drawn = space.sample_valid(configurations - 1, np.random.default_rng(0))
            indices = [space.default, *drawn.tolist()]
            built = [builder.build(space, index, target, 20.0) for index in indices]
            libraries = {index: b.library for index, b in zip(indices, built, strict=True) if b.library}
            supervisor.run(space, *next(iter(libraries.items())), settings)  # the reference, once
            runs: dict[int, list[Any]] = {index: [] for index in libraries}
            bare, begin = [], time.monotonic()
            for _ in range(rounds):
                for index, library in libraries.items():
                    runs[index].append(supervisor.run(space, index, library, settings))
            wall_s = time.monotonic() - begin
            for index, library in libraries.items():
                bare.append(supervisor.run(space, index, library, BARE).run_s)
            everything = [result for results in runs.values() for result in results]
            seconds = [b.build_s for b in built]
            size = statistics.median(map(len, libraries.values()))
            print(f"{task.name} {task.workload}: {len(libraries)} of {len(built)} built, {size / 1024:.0f} KiB")
            print(f"  build      median {statistics.median(seconds):.3f} s, worst {max(seconds):.3f} s")
            print(f"  run        median {statistics.median(r.run_s for r in everything):.3f} s")
            print(f"  all but timing (transfer, load, pack, check)  {statistics.median(bare) * 1e3:.1f} ms")
            print(
                f"  outside of the child  {(wall_s - sum(r.run_s for r in everything)) / len(everything) * 1e3:.2f} ms"
            )
            print(f"  statuses   {sorted({str(r.status) for r in everything})}")
            medians = [[statistics.median(r.times_s) for r in results if r.times_s] for results in runs.values()]
            changes = [max(times) / min(times) - 1 for times in medians if times]
            spread = [(max(r.times_s) - min(r.times_s)) / statistics.median(r.times_s) for r in everything if r.times_s]
            print(
                f"  largest change of a configuration's median over {rounds} rounds: {statistics.median(changes):.1%}"
            )
            print(f"  spread within a run: median {statistics.median(spread):.1%}, 90 % {np.quantile(spread, 0.9):.1%}")
            best = min(min(times) for times in medians if times)
            gflops = task.workload.flops / best / 1e9
            print(f"  best       {gflops:.0f} GFLOPS, {gflops / peak:.0%} of the peak")


if __name__ == "__main__":
    main(*(int(argument) for argument in [*sys.argv[1:], "12", "5"][:2]))
