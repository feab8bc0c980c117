"""A model's budget in rounds, with a cluster that measures by a formula."""

import time
from pathlib import Path
from typing import Any, cast

import pytest

from raydgp import config_space
from raydgp.app.observer import SilentObserver
from raydgp.app.tune.clock import Clock
from raydgp.app.tune.rounds import AMONG_SHARING, FIRST, tune_by_gain
from raydgp.records import Context, Journal, Measurement, Record, RunFolder, RunManifest, Status, TaskEntry
from raydgp.settings import TuneSettings
from raydgp.targets import Target
from raydgp.workloads import Dense, Fused
from raydgp.workloads.zoo import Task

TASKS = [Task("often", Dense(n=1, k=64, m=64), 4), Task("once", Dense(n=1, k=64, m=128), 1)]


class Cluster:
    """Writes the records that a search by index would: each slightly faster than the one before."""

    target, device = Target.named("llvm"), {"name": "this"}
    manifest: RunManifest

    def __init__(self, journal: Path, tasks: list[Task]) -> None:
        self.journal, self.measured, self.rounds = journal, {task.name: 0 for task in tasks}, list[dict[str, int]]()

    def measure_defaults(self, tasks, until_unix_s):
        reached = [task for task in tasks if until_unix_s is None or time.time() < until_unix_s]
        self.defaults = [task.name for task in reached]
        self._measure(reached, {task.name: 1 for task in reached})

    def tune(self, tasks, records, trials, points, until_unix_s):
        self.rounds.append(dict(trials))
        self._measure(tasks, trials)

    def _measure(self, tasks, trials):
        for task in tasks:
            space = config_space(task.workload, "llvm")
            context = Context(
                task=task.name,
                workload=task.workload.to_dict(),
                target=self.target,
                space_hash=space.hash,
                strategy="random",
                seed=0,
                run="r",
            )
            wanted = range(self.measured[task.name], trials[task.name])
            found = [Measurement(index=i, status=Status.OK, times_s=(1e-3 / (1 + i),)) for i in wanted]
            with Journal(self.journal) as journal:
                journal.append([Record(context=context, trial=m.index, knobs={}, measurement=m) for m in found])
            self.measured[task.name] = trials[task.name]


@pytest.fixture
def tuned(tmp_path: Path):
    def run(tasks=TASKS, **options) -> Cluster:
        settings = TuneSettings(model="zoo:resnet18", run="r", runs_dir=tmp_path, **options)
        entries = [TaskEntry.of(task.name, task.count, config_space(task.workload, "llvm")) for task in tasks]
        folder = RunFolder(settings.run_dir)
        cluster = Cluster(folder.journal, tasks)
        manifest = RunManifest(
            settings={}, tasks=entries, target=cluster.target, device={}, versions={}, created_unix_s=0.0
        )
        folder.save(manifest)
        clock = Clock(settings.minutes, 0.0, time.monotonic())
        tune_by_gain(cast(Any, cluster), settings, tasks, folder, SilentObserver(), clock)
        cluster.manifest = folder.manifest
        return cluster

    return run


def test_defaults_come_first_and_the_budget_is_the_models(tuned):
    cluster = tuned(trials=60)
    assert cluster.defaults == ["often", "once"]  # by their arithmetic
    assert cluster.rounds[0] == {"often": FIRST, "once": FIRST}
    assert sum(cluster.measured.values()) == 120
    assert cluster.measured["often"] > cluster.measured["once"] >= FIRST


def test_a_layer_with_no_share_of_the_time_gets_its_default_alone(tuned):
    rare = Task("rare", Dense(n=1, k=64, m=256), 1)
    cluster = tuned([Task("often", TASKS[0].workload, 1000), rare], trials=40)
    assert cluster.measured == {"often": 79, "rare": 1}


def test_layers_that_share_a_space_start_from_each_others_best_and_need_less(tuned):
    twins = [Fused(anchor=Dense(n=1, k=64, m=64), epilogue=steps, block_out=16) for steps in ((), ("relu",))]
    cluster = tuned([Task(str(k), workload, 1) for k, workload in enumerate(twins)], trials=12)
    assert (cluster.rounds[0], cluster.rounds[1]["1"]) == ({"0": 12}, AMONG_SHARING)
    assert len({entry.name: entry.start_points for entry in cluster.manifest.tasks}["1"]) > 1


def test_a_small_budget_is_shared(tuned):
    assert tuned(trials=6).measured == {"often": 6, "once": 6}


def test_time_that_is_over_is_kept(tuned):
    cluster = tuned(minutes=1e-9)
    assert cluster.rounds == []
    assert cluster.manifest.spent_s > 0


def test_the_last_round_is_as_long_as_the_time_that_is_left(monkeypatch, tuned):
    clusters: list[Cluster] = []
    made = Cluster.__init__
    monkeypatch.setattr(Cluster, "__init__", lambda self, *of: (made(self, *of), clusters.append(self))[0])
    monkeypatch.setattr(Clock, "until_unix_s", None)
    # a measurement takes a second, and nothing else any time
    monkeypatch.setattr(time, "monotonic", lambda: float(sum(sum(cluster.measured.values()) for cluster in clusters)))
    cluster = tuned(minutes=1)
    assert cluster.rounds[0] == {"often": FIRST, "once": FIRST}
    assert sum(cluster.measured.values()) == 55  # five seconds are kept for the end of the command


def test_where_it_is_kept_is_saved(tuned, tmp_path: Path):
    tuned(trials=20)
    assert RunManifest.load(tmp_path / "r").spent_s > 0
