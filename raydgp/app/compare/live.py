"""Tuners compared on a live device, on whole spaces: each searches with a budget, then all bests are timed in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from raydgp import search
from raydgp.errors import InputError, RaydgpError
from raydgp.measure import Measurer
from raydgp.measure.driving import drive
from raydgp.rivals.metaschedule import task as metaschedule
from raydgp.space import ConfigSpace
from raydgp.targets import Target
from raydgp.templates.plain import given
from raydgp.templates.spaces import config_space
from raydgp.workloads import Workload

_BATCH = 8
_SMALL: dict[str, Any] = {"preset": "small"}
_STRATEGIES = {"random": {}, "autotvm": _SMALL, "bted": {}, "bao": {}, "dgp": _SMALL, "dgp+": _SMALL}
_ALGORITHMS = ("winograd", "tensor_core")


@dataclass(frozen=True)
class TunerResult:
    """What a tuner ended with: a configuration, and the seconds that it took, measurements included."""

    space: ConfigSpace
    index: int
    tuning_s: float = 0.0


def default(space: ConfigSpace) -> TunerResult:
    """The configuration that is measured first, without a search."""
    return TunerResult(space, space.default)


def searched(
    space: ConfigSpace,
    measurer: Measurer,
    strategy: str,
    options: Mapping[str, Any],
    trials: int,
    batch: int,
    seed: int,
) -> TunerResult:
    """The best of one of our strategies.

    Raises:
        InputError: unknown strategy or option.
        RaydgpError: no configuration ran.
    """
    began = time.monotonic()
    loop = search.Search(search.create(strategy, space, seed, **options), trials, batch)
    for _ in drive(loop, measurer):
        pass
    if loop.best is None:
        raise RaydgpError(f"{strategy}: none of {trials} configurations ran; see `raydgp doctor`")
    return TunerResult(space, loop.best[0], time.monotonic() - began)


def metascheduled(workload: Workload, target: Target, measurer: Measurer, trials: int, seed: int) -> TunerResult:
    """The best of TVM's own tuner, with the same measurer.

    Raises:
        RaydgpError: no candidate ran.
    """
    began = time.monotonic()
    tuned = metaschedule.tune(workload, target, trials, seed, measurer.measure)
    if tuned.best is None:
        raise RaydgpError(f"MetaSchedule: none of {len(tuned.measurements)} candidates ran; see `raydgp doctor`")
    return TunerResult(given(workload, target.kind, [tuned.modules[tuned.best.index]]), 0, time.monotonic() - began)


def tuned(workload: Workload, target: Target, measurer: Measurer, models: Path, trials: int) -> dict[str, TunerResult]:
    """The bests of all tuners, and by AutoTVM's of the other algorithms that the workload can be computed by.

    Args:
        models: where those are that `dgp` and `dgp+` start from.
    """
    space = config_space(workload, target)
    bests = {"default": default(space)}
    for strategy, options in _STRATEGIES.items():
        options = search.with_models(strategy, options, models)
        bests[strategy] = searched(space, measurer, strategy, options, trials, _BATCH, seed=0)
    for algorithm in _ALGORITHMS:
        with suppress(InputError):  # it is for another kernel, stride or target
            other = config_space(workload, target, algorithm)
            bests[algorithm] = searched(other, measurer, "autotvm", _SMALL, trials, _BATCH, seed=0)
    return {**bests, "metaschedule": metascheduled(workload, target, measurer, trials, seed=0)}


def in_turns(
    bests: Mapping[str, TunerResult], measurer: Measurer, rounds: int, others: Mapping[str, Callable[[], float]]
) -> dict[str, float]:
    """Median seconds a call over rounds in which all take turns, so that ratios hold whatever the device's mood.

    Args:
        others: name -> what gives the seconds a call of something that is not ours.
    """
    times: dict[str, list[float]] = {name: [] for name in [*bests, *others]}
    for _ in range(rounds):
        for name, best in bests.items():
            times[name].append(measurer.measure(best.space, np.array([best.index]))[0].median_s)
        for name, seconds in others.items():
            times[name].append(seconds())
    return {name: median(values) for name, values in times.items()}
