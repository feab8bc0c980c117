"""MetaSchedule, TVM's own tuner, as a baseline: it proposes and learns by itself, and others measure for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tvm
from msgspec.structs import replace
from tvm.s_tir import meta_schedule as ms

from raydgp.records import Measurement, Status
from raydgp.sandbox.cpus import own_cores
from raydgp.space import ConfigSpace, Indices
from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm
from raydgp.templates.plain import compute, given
from raydgp.templates.traced.intrinsics import intrinsics_of
from raydgp.workloads import Workload

Measure = Callable[[ConfigSpace, Indices], list[Measurement]]

ROUND = 64  # candidates measured between two learnings: TVM's default
_TOGETHER = 16  # of them handed to the measurer at a time, so that progress is seen
_FAILED_S = 1e10  # what TVM itself records of a candidate that did not run
_UNBUILT = (Status.INVALID, Status.BUILD_ERROR, Status.BUILD_TIMEOUT)


@dataclass(frozen=True, eq=False)
class TunedTask:
    """What MetaSchedule tried.

    Attributes:
        modules: its candidates in the order measured, in TVM's JSON; `given` makes a space of them, in which any
            measurer measures them again.
        measurements: their outcomes; `index` is the place in `modules`.
    """

    modules: list[str]
    measurements: list[Measurement]

    @property
    def best(self) -> Measurement | None:
        """The fastest; None if none has run."""
        return min((m for m in self.measurements if m.ok), key=lambda m: m.median_s, default=None)


def tune(
    workload: Workload,
    target: Target,
    trials: int,
    seed: int,
    measure: Measure,
    on_measurement: Callable[[Measurement], None] = lambda measurement: None,
) -> TunedTask:
    """Evolutionary search over the post-order-apply design space with XGBoost, all of it with TVM's defaults.

    This is the loop of TVM's task scheduler for one task (Shao et al., Tensor Program Optimization with Probabilistic
    Programs, NeurIPS 2022). Builds and runs are `measure`'s: a candidate is built, checked, timed and counted as any
    configuration of ours, and one with a wrong answer has failed.

    Args:
        target: what it is for.
        trials: candidates to measure at most, failures included.
        seed: of the search, which TVM does not make repeatable: the same seed gives other candidates each time.
        measure: as `raydgp.measure.Measurer.measure`.
        on_measurement: called with each outcome.
    """
    tuner = _Tuner(workload, target, trials, seed)
    tuned = TunedTask([], [])
    learn_s = 0.0
    begin = time.monotonic()
    while (candidates := tuner.context.generate_measure_candidates()) is not None:
        modules = [tvm.ir.save_json(candidate.sch.mod) for candidate in candidates]
        count = max(1, len(modules))
        thought = {"propose_s": (time.monotonic() - begin) / count, "learn_s": learn_s / count}
        outcomes = []
        for measured in _measured(workload, target.kind, modules, measure):
            index = len(tuned.measurements)
            measured = replace(measured, index=index, phases=replace(measured.phases, **thought))
            tuned.measurements.append(measured)
            outcomes.append(measured)
            on_measurement(measured)
        tuned.modules.extend(modules)
        begin = time.monotonic()
        tuner.learn(candidates, outcomes)
        learn_s, begin = time.monotonic() - begin, time.monotonic()
    tuner.context.post_tuning()
    return tuned


def _measured(workload: Workload, kind: str, modules: Sequence[str], measure: Measure) -> Iterator[Measurement]:
    for start in range(0, len(modules), _TOGETHER):
        part = modules[start : start + _TOGETHER]
        yield from measure(given(workload, kind, part), np.arange(len(part)))


class _Tuner:
    """The parts of TVM's task scheduler that hold state."""

    def __init__(self, workload: Workload, target: Target, trials: int, seed: int) -> None:
        threads = len(own_cores())
        with intrinsics_of(target):
            self.context = ms.TuneContext(
                mod=compute(workload),
                target=to_tvm(target),
                space_generator="post-order-apply",
                search_strategy=search_strategy(),
                rand_state=ms.utils.fork_seed(seed, n=1)[0],
                num_threads=threads,
            )
        self._database = ms.database.MemoryDatabase()
        self._model = ms.CostModel.create("xgb", num_tuning_cores=threads, tree_method="auto")
        self._entry = self._database.commit_workload(self.context.mod)
        self.context.pre_tuning(trials, ROUND, self.context.generate_design_space(), self._database, self._model)

    def learn(self, candidates: Sequence[ms.MeasureCandidate], outcomes: Sequence[Measurement]) -> None:
        """What TVM's callbacks AddToDatabase and UpdateCostModel do: the model sees all candidates that were built."""
        results = [ms.runner.RunnerResult(list(m.times_s) if m.ok else None, m.error or None) for m in outcomes]
        self.context.notify_runner_results(candidates, results)
        for candidate, result in zip(candidates, results, strict=True):
            record = (candidate.sch.trace, self._entry, result.run_secs or [_FAILED_S], self.context.target)
            self._database.commit_tuning_record(ms.database.TuningRecord(*record, candidate.args_info))
        built = [place for place, m in enumerate(outcomes) if m.status not in _UNBUILT]
        self._model.update(self.context, [candidates[place] for place in built], [results[place] for place in built])


def search_strategy() -> ms.SearchStrategy:
    """TVM's default: a population of 512, four generations a round."""
    return ms.search_strategy.EvolutionarySearch()
