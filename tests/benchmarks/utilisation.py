"""How busy N runners are kept: python tests/benchmarks/utilisation.py [N ...]

The runners are stand-ins: Ray actors that sleep for half a second in place of running a kernel, each with a GPU that
Ray is told of, on one machine. Builds are tasks that return at once. So this measures the pool and Ray, and nothing of
kernels. Prints the seconds until all runners were up, from then on the share of their time in which they ran, and what
a configuration costs in processor time, runner and build task included.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import ray

from raydgp.settings import MeasureSettings
from raydgp.templates.spaces import config_space
from tests.support import fakes

JOB_S = 0.5
JOBS_EACH = 30
_POOL = "ray::RunnerPool"
_PATIENT = MeasureSettings(build_timeout_s=600, run_timeout_s=600)


class Job:
    """Sleeps and logs where and when."""

    def __init__(self, log: fakes.Log) -> None:
        self._log = log

    def __call__(self, index: int) -> None:
        began_s = time.monotonic()
        time.sleep(JOB_S)
        self._log.add(ray.get_runtime_context().get_actor_id(), began_s, time.monotonic())


def used(log: fakes.Log, runners: int, began_s: float) -> tuple[float, float]:
    """Seconds until all were up, and the share of the time that they ran until the first had nothing more to do."""
    intervals = defaultdict(list)
    for name, start, end in log.read():
        intervals[name].append((float(start), float(end)))
    assert len(intervals) == runners, f"{len(intervals)} of {runners} runners were reached"
    first = max(min(each)[0] for each in intervals.values())
    last = min(max(each)[1] for each in intervals.values())
    busy = sum(max(0.0, min(end, last) - max(start, first)) for each in intervals.values() for start, end in each)
    return first - began_s, busy / (runners * (last - first))


def processor_s(name: str = "") -> float:
    """Processor seconds of the processes of Ray's session, which are this one's children, or of those of a name."""
    found = 0.0
    for each in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if name in " ".join(each.cmdline()):
                found += sum(each.cpu_times()[:2])
    return found


def measure(runners: int) -> None:
    fakes.start_ray(gpus=runners)
    try:
        with tempfile.TemporaryDirectory() as folder:
            log = fakes.Log(Path(folder))
            backend = fakes.backend(run=Job(log))
            pool: Any = fakes.pool(backend, "cuda", measure=_PATIENT, grace_s=600.0, scan_s=0.5)
            space = config_space(fakes.WORKLOAD, "cuda")
            indices = space.sample_valid(runners * JOBS_EACH, np.random.default_rng(0)).tolist()
            began_s, done, counted = time.monotonic(), 0, 0
            before_s = pool_before_s = 0.0
            for batch in pool.measure_all.options(num_returns="streaming").remote(fakes.WORKLOAD.to_dict(), indices):
                done += len(ray.get(batch))
                if not counted and done > len(indices) // 3:
                    before_s, pool_before_s = processor_s(), processor_s(_POOL)
                    counted = len(indices) - done
            each_ms, pool_ms = (
                1e3 * spent_s / counted for spent_s in (processor_s() - before_s, processor_s(_POOL) - pool_before_s)
            )
            up_s, share = used(log, runners, began_s)
            print(
                f"{runners:3d} stand-in runners: all up after {up_s:5.1f} s, then busy {share:6.1%}; "
                f"{each_ms:.1f} ms of processor a configuration, {pool_ms:.2f} of them the pool's",
                flush=True,
            )
    finally:
        ray.shutdown()


def main() -> None:
    for runners in map(int, sys.argv[1:] or ("2", "4", "8", "16", "32", "64")):
        measure(runners)


if __name__ == "__main__":
    main()
