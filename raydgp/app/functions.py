"""Tunes anything that a Python function can measure, with the supervision that kernels have."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from raydgp.app.observer import Observer, PlainObserver
from raydgp.app.run import Run
from raydgp.app.tune.runs import tune
from raydgp.errors import InputError
from raydgp.settings import TuneSettings, load
from raydgp.space import ConfigSpace, parameters
from raydgp.targets.kinds import FUNCTION
from raydgp.workloads import Parametric, Task


def tune_function(
    measure: Callable[[dict[str, Any]], Any],
    space: ConfigSpace | Mapping[str, Any],
    *,
    resources: Mapping[str, float] | None = None,
    minutes: float | None = None,
    trials: int | None = None,
    strategy: str = "autotvm",
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    timeout_s: float = 60.0,
    run: str | None = None,
    runs_dir: str | Path = "runs",
    mlflow: bool | str = True,
    observer: Observer | None = None,
    **settings: Any,
) -> Run:
    """Searches the parameters with which a function is fastest; the same call again resumes.

    Each runner calls the function in a process of its own. What raises, returns nonsense, crashes, hangs or runs out of
    memory is a failed measurement, and the search goes on. What the function prints goes nowhere.

    Args:
        measure: called with a configuration, `{parameter: option}`; returns the seconds that it took, or those of
            several repeats, whose median counts.
        space: of `raydgp.space.parameters`, or the options that make one.
        resources: that one measurement needs, `{"cpu": 1}` by default, `{"gpu": 1}`, or a resource of the cluster. As
            many are made at a time as there is room for: ask for all processors, or give `ray={"runners": 1}`, where
            they would disturb each other.
        minutes: time to tune.
        trials: configurations measured; 64 where no minutes are given.
        strategy: how to search, one of `raydgp.search.names()`.
        options: of the strategy.
        seed: of all random streams.
        timeout_s: that one measurement may take; then its process is ended.
        run: name of the run's folder in `runs_dir`; made of the function's name, strategy and seed by default.
        mlflow: whether the run is tracked, or the tracking URI; `sqlite:///mlflow.db` by default.
        observer: is told how it goes on; the logger `raydgp` by default.
        settings: any other of `TuneSettings`, such as `batch=8`.

    Raises:
        InputError: an argument is wrong; nothing was changed.
        RaydgpError: the run could not go on; what was measured is kept.
    """
    if not callable(measure):
        raise InputError(f"measure: give a function of a configuration that returns seconds, not {measure!r}")
    if not isinstance(space, ConfigSpace):
        space = parameters(space, name=_name(measure))
    if not isinstance(space.workload, Parametric):
        raise InputError(f"space: {space} is of a template; give one of raydgp.space.parameters")
    if resources is not None and not resources:
        raise InputError('resources: a measurement needs something, such as {"cpu": 1}')
    given = {
        **settings,
        "model": _name(measure),
        "target": FUNCTION,
        "minutes": minutes,
        "trials": trials,
        "strategy": strategy,
        "options": dict(options or {}),
        "seed": seed,
        "run": run,
        "runs_dir": Path(runs_dir),
        "measure": {"run_timeout_s": timeout_s},
        "ray": {**settings.get("ray", {}), "resources": dict(resources or {"cpu": 1})},
        "mlflow": {"uri": mlflow} if isinstance(mlflow, str) else {"enabled": mlflow},
    }
    tasks = [Task(space.workload.name, space.workload, 1)]
    return tune(load(None, given, TuneSettings, "raydgp.tune_function"), observer or PlainObserver(), tasks, measure)


def _name(measure: Callable[..., Any]) -> str:
    """What the function is called, as part of a file's name."""
    return re.sub(r"\W", "_", getattr(measure, "__name__", type(measure).__name__)).strip("_") or "function"
