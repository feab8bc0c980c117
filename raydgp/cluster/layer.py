"""A layer task: the search of one layer, driven through Ray Tune within one Ray task."""

from __future__ import annotations

import logging
import math
import os
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.actor import ActorHandle
from ray.tune.search import Searcher

from raydgp.cluster.leftovers import marked
from raydgp.cluster.searcher import RaydgpSearcher
from raydgp.cluster.trainable import MeasureBatch
from raydgp.records import Context, Measurement
from raydgp.registry import adopt, registered
from raydgp.templates.spaces import config_space
from raydgp.workloads import from_dict

_HOPELESS = 3  # losses of one batch's process, one after the other
_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # the journal is what a run resumes from
    "TUNE_MAX_PENDING_TRIALS_PG": "1",
    "TUNE_WARN_THRESHOLD_S": "1000",
    "RAY_AIR_NEW_OUTPUT": "0",
}


@dataclass(frozen=True, kw_only=True)
class LayerJob:
    """What a layer task is told.

    Attributes:
        context: of its records; says the workload, the target, the strategy and the seed.
        trials: configurations to measure.
        batch: configurations of a Tune trial, at most.
        until_unix_s: when no trial is to be begun any more, nor one of which more than half would come after it.
        options: of the strategy.
        known: of this space, from the journal.
        points: configurations to measure right after the default.
        parts: strategies, surrogates and the like that the driver's program has registered, see `registry.registered`.
        state: of the searcher, where an earlier job of this task has left it.
    """

    context: Context
    trials: int
    batch: int
    until_unix_s: float | None = None
    options: dict[str, Any] = field(default_factory=dict)
    known: dict[int, Measurement] = field(default_factory=dict)
    points: list[int] = field(default_factory=list)
    parts: dict[str, dict[str, Any]] = field(default_factory=registered)
    state: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class LayerOutcome:
    """How a layer task ended.

    Attributes:
        best: configuration and GFLOPS; None when nothing ran.
        fault: name and message of the error that ended it before its time.
        state: of the searcher, for a job that goes on.
    """

    task: str
    best: tuple[int, float] | None
    measured: int
    failed: int
    fault: tuple[str, str] | None
    state: dict[str, Any] = field(compare=False, repr=False)


class _LayerSearcher(RaydgpSearcher):
    """Thinks only while no kernel is timed on its node, and stops at a fault without learning from it.

    A batch whose trial was lost, with its process or its node, is handed out once more, as it was.
    """

    def __init__(self, job: LayerJob, pool: ActorHandle) -> None:
        context = job.context
        space = config_space(from_dict(context.workload), context.target)
        budget = (job.trials, job.batch)
        super().__init__(space, context.strategy, *budget, context.seed, job.options, job.known, job.points)
        if job.state:
            self.set_state(job.state)
        self.fault: tuple[str, str] | None = None
        self._until_unix_s = math.inf if job.until_unix_s is None else job.until_unix_s
        self._began_unix_s = self._batch_s = 0.0
        self._pool, self._node_id = pool, ray.get_runtime_context().get_node_id()
        self._handed_out: dict[str, Any] = {}
        self._losses = 0  # of this batch

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        now = time.time()
        over = now + self._batch_s / 2 > self._until_unix_s
        if self.fault or over or (self.search.done and not self._losses):
            return Searcher.FINISHED
        self._began_unix_s = now
        if self._losses:
            self._live[trial_id] = self._handed_out["indices"]
            return self._handed_out
        ray.get(self._pool.enter.remote(self._node_id))
        try:
            config = super().suggest(trial_id)
        finally:
            self._pool.leave.remote(self._node_id)
        if isinstance(config, dict):
            del config["knobs"]  # Tune copies and flattens every one several times; the trainable does without
            self._handed_out = config
        return config

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if result and result.get("fault"):
            self.fault = tuple(result["fault"])
        elif error or not result:
            self._live.pop(trial_id, None)
            self._losses += 1
            if self._losses == _HOPELESS:
                said = f"the process that measures a batch was lost {_HOPELESS} times; run the same command to resume"
                self.fault = ("RaydgpError", said)
        else:
            self._losses = 0
            self._batch_s = time.time() - self._began_unix_s
            super().on_trial_complete(trial_id, result)


@ray.remote(num_cpus=0, max_retries=0)
def tune_layer(job: LayerJob, pool: ActorHandle, recorder: ActorHandle) -> LayerOutcome:
    """Searches one layer to the end of its budget, or to a fault. Leaves nothing behind but the journal's records."""
    os.environ.update(_ENVIRONMENT)
    adopt(job.parts)
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    searcher = _LayerSearcher(job, pool)
    parameters = tune.with_parameters(MeasureBatch, pool=pool, recorder=recorder, context=job.context, parts=job.parts)
    # A trial must hold something, but a hundredth of a processor would keep a build from the whole one that it takes.
    # The driver's node, by its id: nodes of one address are several.
    node = {"ray.io/node-id": ray.get_runtime_context().get_node_id()}
    here = tune.PlacementGroupFactory([{f"node:{ray.util.get_node_ip_address()}": 0.001}], bundle_label_selector=[node])
    trainable = tune.with_resources(parameters, here)
    # Tune keeps trainables by name for the whole Ray job: with one name, layers would get each other's parameters.
    trainable.__name__ = f"MeasureBatch-{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory(prefix="raydgp-tune-") as folder, marked(Path(folder)):
        tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                metric="best_gflops",
                mode="max",
                num_samples=-1,
                max_concurrent_trials=1,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                storage_path=folder,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=0),  # the searcher hands it out again
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                log_to_file=False,
            ),
        ).fit()
    found = searcher.search
    return LayerOutcome(
        task=job.context.task,
        best=found.best,
        measured=found.measured,
        failed=found.failed,
        fault=searcher.fault,
        state=searcher.state(),
    )
