"""A cluster as the driver sees it: starts the pool, keeps layers going, brings their faults home."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raydgp import errors, search
from raydgp.cluster.backend import REAL, Backend
from raydgp.cluster.baselines import Baselines, measure_baselines
from raydgp.cluster.defaults import measure_defaults
from raydgp.cluster.layer import LayerJob, LayerOutcome, tune_layer
from raydgp.cluster.pool import RunnerPool
from raydgp.cluster.pool_settings import PoolSettings
from raydgp.cluster.recorder import Recorder
from raydgp.cluster.remote_errors import raised_here
from raydgp.cluster.resources import fitting
from raydgp.cluster.session import connect
from raydgp.errors import InputError, RaydgpError
from raydgp.records import Context, Measurement, Record
from raydgp.records.history import FINALISTS, known
from raydgp.registry import registered
from raydgp.settings import TuneSettings
from raydgp.targets import Target, kind_named
from raydgp.templates.spaces import config_space
from raydgp.workloads import Task, Workload

_LOGGER = logging.getLogger(__name__)
_CLOSE_S = 10.0  # that the journal's writer may take to give the lock back
_LOG_S = 2.0  # how often the log of the pool is asked for


class Cluster:
    """Runners, and searches that use them; a context manager that leaves nothing of itself running.

    Args:
        settings: of the run.
        journal: file that every measurement is written to.
        backend: what builds and runs.

    Attributes:
        target: of the runners.
        device: what the first runner runs on.
        versions: of raydgp, tvm, and what else shapes the kernels.

    Raises:
        InputError: no cluster at the address, no such device in it, or more threads than a runner has cores.
        RunnersLost: no runner starts.
    """

    target: Target
    device: dict[str, Any]
    versions: dict[str, str]

    def __init__(self, settings: TuneSettings, journal: Path, backend: Backend = REAL) -> None:
        self._settings, self._journal, self._backend = settings, journal, backend
        self._pool: ActorHandle | None = None
        self._writer: ActorHandle | None = None
        self._ours = False
        self._baselines = Baselines()
        self._host_baselines: Baselines | None = None  # of whose runners these are, where they are another's
        self._states: dict[str, dict[str, Any]] = {}  # of the searches that have ended, by task

    def __enter__(self) -> Self:
        if self._host_baselines:
            return self
        self._ours = connect(self._settings.ray.address)
        try:
            self._here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
            self._start_pool()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the runners and the journal's writer, and the session with Ray if this cluster began it."""
        self._end_writer()
        if self._pool and not self._host_baselines:
            ray.kill(self._pool)  # its runners end with it
        self._pool = None
        if self._ours:
            ray.shutdown()
        self._ours = False

    def beside(self, settings: TuneSettings, journal: Path) -> Cluster:
        """Another run's searches on the same runners, at the same time; it ends before this one does.

        It has the baselines that were measured here last: nothing else is to run while they are.

        Args:
            settings: of the other run, with the same target, `measure` and `ray`.
            journal: of the other run.
        """
        other = Cluster(settings, journal, self._backend)
        other._pool, other._here, other._node_id = self._pool, self._here, self._node_id
        other._host_baselines = self._baselines
        other.target, other.device, other.versions = self.target, self.device, self.versions
        return other

    def tune(
        self,
        tasks: Sequence[Task],
        records: Iterable[Record] = (),
        trials: Mapping[str, int] | None = None,
        points: Mapping[str, Sequence[int]] | None = None,
        until_unix_s: float | None = None,
    ) -> list[LayerOutcome]:
        """Searches the tasks, some at a time. A task that was searched before goes on from there.

        Args:
            records: what the journal holds already; none of that is measured again.
            trials: by task, its measurements in all; the settings' for every task by default.
            points: by task, configurations to measure right after the default.
            until_unix_s: when no batch is to be begun any more, or one that would end far beyond it.

        Returns:
            How each task ended, in the order that they did.

        Raises:
            JournalError: the journal cannot be written.
            RunnersLost: no runner is left.
            RaydgpError: a workload's right answer cannot be computed.
        """
        records = list(records)
        assert self._pool
        by_task = trials or {}
        options = search.with_models(self._settings.strategy, self._settings.options, self._settings.models_dir)
        waiting = [
            LayerJob(
                context=(context := self._context(task)),
                trials=by_task.get(task.name, self._settings.trials),
                batch=self._settings.batch,
                until_unix_s=until_unix_s,
                options=options,
                known=known(records, context.space_hash),
                points=list((points or {}).get(task.name, ())),
                state=self._states.get(task.name),
            )
            for task in tasks
        ]
        running: list[ray.ObjectRef] = []
        outcomes = []
        with raised_here(), self._recorder() as recorder:
            try:
                while waiting or running:
                    while waiting and len(running) < self._settings.ray.layers_in_flight:
                        layer = tune_layer.options(scheduling_strategy=self._here)
                        running.append(layer.remote(waiting.pop(0), self._pool, recorder))
                    ended, running = ray.wait(running, timeout=_LOG_S)
                    self._log()
                    if not ended:
                        continue
                    outcome = ray.get(ended[0])
                    if outcome.fault:
                        name, message = outcome.fault
                        raise getattr(errors, name, RaydgpError)(message)
                    self._states[outcome.task] = outcome.state
                    outcomes.append(outcome)
            finally:
                for reference in running:
                    ray.cancel(reference, force=True)
        return outcomes

    def measure_defaults(self, tasks: Sequence[Task], until_unix_s: float | None = None) -> None:
        """Measures the tasks' default configurations in this order, as far as the time reaches.

        Raises:
            JournalError, RunnersLost, RaydgpError: as `tune`.
        """
        assert self._pool
        with raised_here(), self._recorder() as recorder:
            measure_defaults(self._pool, recorder, [self._context(task) for task in tasks], until_unix_s)

    def measure_again(self, task: Task, indices: Sequence[int], turn: int) -> None:
        """Measures finalists of a task once more, journalled as such.

        Args:
            turn: how often they have been measured before; the records' trial.

        Raises:
            JournalError, RunnersLost, RaydgpError: as `tune`.
        """
        assert self._pool
        context = replace(self._context(task), strategy=FINALISTS)
        space = config_space(task.workload, self.target)
        with raised_here(), self._recorder() as recorder:
            waiting = [self._pool.measure.remote(context.workload, index) for index in indices]
            found: list[dict[str, Any]] = ray.get(waiting)
            measured = [Measurement.from_dict(each) for each in found]
            records = [
                Record(context=context, trial=turn, knobs=space.decode(m.index), measurement=m) for m in measured
            ]
            ray.get(recorder.append.remote(records))

    def _log(self) -> None:
        """Brings what the pool and its runners have logged into this process's log."""
        for line in self._ask("logged"):
            _LOGGER.warning("%s", line)

    def baselines(self, workloads: Sequence[Workload]) -> Baselines:
        """Measures what the first runner's processors reach without tuning; nothing for a GPU. Call it before `tune`.

        Raises:
            RaydgpError: they cannot be measured there.
        """
        if self._host_baselines:
            return self._host_baselines
        if not self.target.behaviour.on_processors:
            return Baselines()
        there = NodeAffinitySchedulingStrategy(self._node_id, soft=False)
        measure = self._settings.measure.model_copy(update={"threads": self.device.get("threads")})  # the runner's
        with raised_here():
            found: Baselines = ray.get(
                measure_baselines.options(scheduling_strategy=there).remote(self.target, measure, workloads)
            )
        self._baselines = found
        return found

    def _start_pool(self) -> None:
        settings, ray_settings = self._settings, self._settings.ray
        resource = kind_named(settings.kind).resource
        alone = self._ours and ray_settings.address is None
        if resource and alone and not ray.cluster_resources().get(resource):
            raise InputError(
                f"target {settings.target}: this machine has no {resource} that Ray sees; "
                "use target llvm, or join a cluster"
            )
        wanted = ray_settings.resources
        if wanted and alone and not any(fitting(wanted, node["Resources"]) for node in ray.nodes()):
            raise InputError(f"resources {wanted}: this machine has less; ask for less, or join a cluster")
        pool_settings = PoolSettings(
            target=settings.target,
            measure=settings.measure,
            runners=ray_settings.runners,
            cores_per_runner=ray_settings.cores_per_runner,
            accelerator=ray_settings.accelerator,
            resources=wanted,
            parts=registered(),
        )
        pool: Any = ray.remote(RunnerPool)
        options = {"num_cpus": 0, "scheduling_strategy": self._here, "max_concurrency": 10_000}
        self._pool = pool.options(**options).remote(pool_settings, self._backend)
        with raised_here():
            self._ask("keep_log")
            about: dict[str, Any] = self._ask("describe")
        self.target, self.device, self.versions = about["target"], about["device"], about["versions"]
        self._node_id = about["node_id"]

    def _ask(self, method: str) -> Any:
        assert self._pool
        return ray.get(getattr(self._pool, method).remote())

    def _context(self, task: Task) -> Context:
        settings = self._settings
        return Context(
            task=task.name,
            workload=task.workload.to_dict(),
            target=self.target,
            space_hash=config_space(task.workload, self.target).hash,
            strategy=settings.strategy,
            seed=settings.seed,
            run=settings.run_name,
        )

    @contextmanager
    def _recorder(self) -> Iterator[ActorHandle]:
        """The journal's writer, kept from call to call, for a process takes seconds to start; not after a fault."""
        try:
            if self._writer is None:
                actor: Any = ray.remote(Recorder)
                self._writer = actor.options(num_cpus=0, scheduling_strategy=self._here).remote()
                ray.get(self._writer.open.remote(str(self._journal.resolve())))
            yield self._writer
        except BaseException:
            self._end_writer()
            raise

    def _end_writer(self) -> None:
        """Ends the journal's writer, once it has given the lock back if it still can."""
        writer, self._writer = self._writer, None
        if writer:
            with suppress(RayError):
                ray.get(writer.close.remote(), timeout=_CLOSE_S)
            ray.kill(writer)
