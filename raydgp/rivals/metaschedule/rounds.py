"""MetaSchedule on all kernels of a model: TVM's loop over tasks with its defaults, made to stop in time and to go on.

TVM's own entry points stop by trials only, hand over a task's measurements when its next turn comes, and forget at the
end what turns there have been. The scheduler here is TVM's, with the choice of the next task written out.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import tvm
from tvm.ir.utils import derived_object
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.analysis import estimate_tir_flops
from tvm.support.popen_pool import PopenPoolExecutor, StatusKind

from raydgp.build.compile import link
from raydgp.rivals.metaschedule.task import ROUND
from raydgp.run.threads import pin_threads
from raydgp.sandbox.cpus import own_cores, own_cpus
from raydgp.settings import MeasureSettings
from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm
from raydgp.templates.traced.intrinsics import intrinsics_of

POPULATION = 512  # TVM's default
_SEARCH_S, _BUILD_S = 44.0, 0.65  # of a processor: proposals for a convolution's turn by TVM's defaults, a candidate
_RUN_S = 0.15  # of a candidate; all three measured on a Zen 4 with ResNet-18
_FIRST_PASS = 0.5  # share of the time in which every task should have had a turn
_FEWEST, _SMALLEST = 4, 32  # candidates a turn and population at the least
_UNMEASURED = 50  # TVM's default: with fewer new candidates in a population it gives the task up
_ALPHA, _WINDOW = 0.2, 3  # defaults of TVM's gradient scheduler
FAILED_S = 1e9  # what is as slow or slower did not run: TVM's own figure is 1e10
_ENDLESS = 2**31 - 1
_MOST_TAUGHT = 4096  # records of a kernel; TVM reserves room for as many as it is asked for
_USES = 512  # builds of a worker before it is replaced: TVM's compiler keeps memory


@dataclass(frozen=True, eq=False)
class Job:
    """A kernel to tune: its name, how often the model calls it, and its function as MetaSchedule wants it."""

    name: str
    calls: int
    module: tvm.IRModule


@dataclass(frozen=True)
class Turn:
    """What came of one turn of a kernel.

    Attributes:
        times_s: of a call, one for each candidate that ran.
        failed: candidates that did not build or run.
        seconds: from the choice of the kernel to the end of its measurements.
        exhausted: MetaSchedule finds no more candidates for it.
    """

    name: str
    times_s: list[float]
    failed: int
    seconds: float
    exhausted: bool


def tune(
    jobs: Sequence[Job],
    target: Target,
    settings: MeasureSettings,
    database: ms.database.Database,
    history: Mapping[str, list[float]],
    budget_s: float,
    left_s: Callable[[], float],
    seed: int,
    on_choice: Callable[[str], None],
    on_turn: Callable[[Turn], None],
) -> None:
    """Gives the kernels turns until no time is left or MetaSchedule has nothing more to try.

    Args:
        settings: how a candidate is built and timed.
        database: takes every candidate; what it holds already teaches the cost model.
        history: by kernel the fastest call so far, seconds, after each of its turns; `on_turn` is to keep it.
        budget_s: the whole time, of which `effort` makes the size of a turn.
        left_s: what is left of it.
        on_choice: told which kernel has its turn.
        on_turn: told what came of it, when the database has it.
    """
    if not jobs:
        return
    threads, kind = settings.threads or len(own_cores()), to_tvm(target)
    candidates, population = effort(budget_s, len(jobs), len(own_cpus()))
    ordered = sorted(jobs, key=lambda job: job.calls * estimate_tir_flops(job.module), reverse=True)
    with intrinsics_of(target):
        contexts = [
            ms.TuneContext(
                mod=job.module,
                target=kind,
                space_generator="post-order-apply",
                search_strategy=ms.search_strategy.EvolutionarySearch(
                    population_size=population, init_min_unmeasured=min(_UNMEASURED, population // 2)
                ),
                task_name=job.name,
                rand_state=state,
                num_threads=len(own_cpus()),
            )
            for job, state in zip(ordered, ms.utils.fork_seed(seed, n=len(ordered)), strict=True)
        ]
    model = ms.CostModel.create("xgb", num_tuning_cores=len(own_cpus()), tree_method="auto")
    for context in contexts:
        _teach(model, context, database)
    evaluator = ms.runner.EvaluatorConfig(
        settings.number, settings.repeat, 0 if settings.cold_cache else settings.min_repeat_ms, settings.cold_cache
    )
    runner = ms.runner.LocalRunner(
        timeout_sec=settings.run_timeout_s,
        evaluator_config=evaluator,
        initializer=partial(pin_threads, own_cores()[:threads]),
    )
    scheduler = _Scheduler(Turns(ordered, history, left_s, on_choice, on_turn))
    scheduler.tune(
        contexts,
        [job.calls for job in ordered],
        max_trials_global=_ENDLESS,
        max_trials_per_task=_ENDLESS,
        num_trials_per_iter=candidates,
        builder=_Builder(len(own_cpus()), settings.build_timeout_s),
        runner=runner,
        measure_callbacks=ms.measure_callback.MeasureCallback.create("default"),
        database=database,
        cost_model=model,
    )


def effort(budget_s: float, kernels: int, processors: int) -> tuple[int, int]:
    """Candidates a turn and the evolutionary search's population: TVM's defaults where time allows.

    Where a turn of every kernel by the defaults would take more than half of the time, turns are smaller in both alike:
    a kernel that never had a turn runs as TVM lowers it, a hundred times as slow.
    """
    turn_s = (_SEARCH_S + _BUILD_S * ROUND) / processors + _RUN_S * ROUND
    share = min(1.0, _FIRST_PASS * budget_s / (kernels * turn_s))
    return max(_FEWEST, round(share * ROUND)), max(_SMALLEST, round(share * POPULATION))


def _teach(model: Any, context: ms.TuneContext, database: ms.database.Database) -> None:
    """The cost model learns what the database holds of a kernel."""
    records = database.get_top_k(database.commit_workload(context.mod), _MOST_TAUGHT)
    results = [ms.runner.RunnerResult(list(record.run_secs), None) for record in records]
    model.update(context, [record.as_measure_candidate() for record in records], results)


class Turns:
    """Who is next: each kernel once, then by gradient, as TVM's `GradientBased` (C++, deaf to time) does it.

    The gradient is of the model's time by a kernel's turns: what the last turns of it have gained and what it would
    gain if its time fell with their number, as in Ansor (Zheng et al., OSDI 2020).
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        history: Mapping[str, list[float]],
        left_s: Callable[[], float],
        on_choice: Callable[[str], None],
        on_turn: Callable[[Turn], None],
    ) -> None:
        self._jobs, self._history, self._left_s = jobs, history, left_s
        self._on_choice, self._on_turn = on_choice, on_turn
        self._running, self._began_s = -1, 0.0

    def following(self, exhausted: Sequence[bool], results: Callable[[int], Sequence[Any]]) -> int:
        """The place of the next kernel; -1 ends the tuning.

        Args:
            exhausted: by kernel, whether MetaSchedule has given it up.
            results: waits for the measurements of the kernel at a place, whose turn ends.
        """
        if self._running >= 0:
            self._end_turn([] if exhausted[self._running] else results(self._running), exhausted[self._running])
        alive = [place for place, over in enumerate(exhausted) if not over]
        if not alive or self._left_s() <= 0:
            return -1
        new = (place for place in alive if not self._history[self._jobs[place].name])
        self._running = next(new, max(alive, key=self._gradient))
        self._on_choice(self._jobs[self._running].name)
        self._began_s = time.monotonic()
        return self._running

    def _end_turn(self, results: Sequence[Any], exhausted: bool) -> None:
        times_s = [median(map(float, result.run_secs)) for result in results if result.run_secs]
        seconds, name = time.monotonic() - self._began_s, self._jobs[self._running].name
        self._on_turn(Turn(name, times_s, len(results) - len(times_s), seconds, exhausted))

    def _gradient(self, place: int) -> float:
        job = self._jobs[place]
        best = self._history[job.name]
        turns = len(best)
        if not turns or best[-1] >= FAILED_S:
            return -1.0
        lately = (best[-1 - _WINDOW] - best[-1]) / _WINDOW if turns > _WINDOW else 0.0
        return job.calls * (_ALPHA * lately + (1 - _ALPHA) * best[-1] / turns)


@derived_object
class _Scheduler(ms.task_scheduler.PyTaskScheduler):
    """TVM's, with the next task chosen by `Turns`."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = turns

    def next_task_id(self) -> int:
        exhausted = [bool(task.is_terminated) for task in self._outer().tasks_]
        return self._turns.following(exhausted, self.join_running_task)


@derived_object
class _Builder(ms.builder.PyBuilder):
    """TVM's local builder with workers that stay and libraries that need no compiler to load.

    TVM's starts its workers anew for every turn, which takes seconds of imports, and packs archives, which are linked
    when they are loaded.
    """

    def __init__(self, workers: int, timeout_s: float) -> None:
        super().__init__()
        self._pool = PopenPoolExecutor(max_workers=workers, timeout=timeout_s, maximum_process_uses=_USES)
        list(self._pool.map_with_error_catching(_ready, range(workers)))  # imports are nobody's turn

    def build(self, build_inputs: Sequence[Any]) -> list[ms.builder.BuilderResult]:
        jobs = [(given.mod, given.target) for given in build_inputs]
        return [
            ms.builder.BuilderResult(built.value, None)
            if built.status == StatusKind.COMPLETE
            else ms.builder.BuilderResult(None, f"{type(built.value).__name__}: {built.value}")
            for built in self._pool.map_with_error_catching(_build, jobs)
        ]


def _ready(_: int) -> None:
    """In a worker: loads what building takes."""


def _build(job: tuple[tvm.IRModule, tvm.target.Target]) -> str:
    """In a worker: a candidate as a library; TVM deletes the folder that it is in."""
    module = tvm.s_tir.transform.RemoveWeightLayoutRewriteBlock(skip_tensor_rewrite=True)(job[0])
    folder = tempfile.mkdtemp(prefix="raydgp-metaschedule-")
    path = str(Path(folder) / "kernel.so")
    tvm.compile(module, target=job[1]).export_library(path, fcompile=link, workspace_dir=folder)
    return path
