"""What the cluster adds to a measurement: milliseconds a configuration, and how busy it keeps a runner.

    python -m tests.benchmarks.overhead [--quick]

Builds are instant, and kernels either instant too or of a known length, so that what remains is Ray, Ray Tune, the
searcher, the journal, and the follower that sends it to MLflow. Bars: 5 ms a configuration at batch 16; 95 % busy.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from raydgp.cluster import Cluster
from raydgp.records import RunManifest, TaskEntry, scan
from raydgp.settings import TuneSettings
from raydgp.templates.spaces import config_space
from raydgp.tracking import TrackerProcess
from raydgp.workloads import Conv2d, Task
from tests.support import fakes


def tasks(count: int) -> list[Task]:
    return [Task(f"layer{i}", Conv2d(n=1, ci=64, h=28 + i, w=28, co=64, kh=3, kw=3), 1) for i in range(count)]


def run(folder: Path, layers: int, in_flight: int, trials: int, kernel_s: float, tracking: bool, target: str) -> None:
    """One run; prints what each configuration cost beyond its kernel from the first to the last record."""

    def busy(index: int) -> None:
        end = time.monotonic() + kernel_s
        while time.monotonic() < end:
            pass

    settings = TuneSettings.model_validate(
        {
            "model": "resnet18",
            "target": target,
            "strategy": "random",
            "trials": trials,
            "runs_dir": folder,
            "run": f"run-{layers}-{in_flight}-{kernel_s}-{tracking}-{target}",
            "ray": {"layers_in_flight": in_flight},
            "mlflow": {"uri": f"sqlite:///{folder}/mlflow.db"},
        }
    )
    journal = settings.run_dir / "journal.jsonl"
    with Cluster(settings, journal, fakes.backend(run=busy)) as cluster:
        chosen = tasks(layers)
        manifest(settings, chosen, cluster).save(settings.run_dir)
        sink = TrackerProcess(settings.run_dir)
        if tracking:
            sink.start()
            time.sleep(5.0)  # it imports MLflow
        began = time.time()
        cluster.tune(chosen)
        wall_s = time.time() - began
    sink.finish(60.0)
    ends = np.array(sorted(record.measurement.time_unix_s for record in scan(journal).records))
    steady = ends[ends >= ends[0] + 0.3 * (ends[-1] - ends[0])]  # all layers have started
    each_s = (steady[-1] - steady[0]) / (len(steady) - 1)
    print(
        f"{target}: {layers} layers, {in_flight} in flight, kernel {1e3 * kernel_s:3.0f} ms, tracking {tracking!s:5}: "
        f"{1e3 * (each_s - kernel_s):5.2f} ms added to a configuration, runner busy {kernel_s / each_s:4.0%}, "
        f"{len(ends)} configurations, {ends[0] - began:.1f} s to the first, {wall_s:.1f} s in all",
        flush=True,
    )


def manifest(settings: TuneSettings, chosen: list[Task], cluster: Cluster) -> RunManifest:
    """What the follower wants to know."""
    entries = []
    for task in chosen:
        space = config_space(task.workload, settings.target)
        entries.append(
            TaskEntry(
                name=task.name,
                workload=task.workload.to_dict(),
                count=1,
                group=task.workload.group,
                space_hash=space.hash,
                space_size=space.size,
                default_index=space.default,
            )
        )
    return RunManifest(
        settings=settings.model_dump(mode="json"),
        tasks=entries,
        target=cluster.target,
        device=cluster.device,
        versions=cluster.versions,
        created_unix_s=time.time(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="shorter runs")
    quick = parser.parse_args().quick
    fakes.start_ray(gpus=1)
    trials = 320 if quick else 960
    with tempfile.TemporaryDirectory() as folder:
        for in_flight in (1, 2):
            run(Path(folder), in_flight, in_flight, trials, 0.0, tracking=False, target="llvm")
        run(Path(folder), 2, 2, trials, 0.0, tracking=True, target="llvm")
        for target in ("llvm", "cuda"):  # on processors builds keep out of runs, on GPUs both go on at once
            for kernel_s in (0.05, 0.1):
                run(Path(folder), 2, 2, int(8 / kernel_s), kernel_s, tracking=True, target=target)


if __name__ == "__main__":
    main()
