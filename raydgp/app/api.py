"""raydgp from Python: what a notebook calls, and what the commands do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raydgp.app.layers import name_of, tasks_of
from raydgp.app.observer import Observer, PlainObserver
from raydgp.app.run import Run
from raydgp.app.tune.runs import tune as tune_settings
from raydgp.errors import InputError
from raydgp.settings import TuneSettings, source_of
from raydgp.settings import load as load_settings

if TYPE_CHECKING:
    from raydgp.models.folder import Library

EXPORTED = "exported"  # folder among the runs: the files of live modules


def tune(
    model: Any,
    *,
    inputs: Any = None,
    target: str = "llvm",
    minutes: float | None = None,
    trials: int | None = None,
    strategy: str = "autotvm",
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    run: str | None = None,
    runs_dir: str | Path = "runs",
    mlflow: bool | str = True,
    observer: Observer | None = None,
    **settings: Any,
) -> Run:
    """Searches the fastest schedules of a model's layers; the same call again resumes.

    Args:
        model: a `.pt2` or `.onnx` file, `package.module:function`, the name of one of the papers' networks, an
            `nn.Module` with its `inputs`; or layers: workloads, tasks such as `zoo.tasks` gives, or workloads by name.
        inputs: example inputs of an `nn.Module`, one array or tensor or several; of an ONNX file the shapes of inputs
            by name, `{"x": (1, 3, 224, 224)}`, or `{"ids": (1, (64, 128))}` for several sizes.
        target: `llvm`, this machine's CPU, or `cuda`.
        minutes: time to tune, shared among the tasks by what they gain.
        trials: configurations measured for each task, of a model on average; 64 where no minutes are given.
        strategy: how to search, one of `raydgp.search.names()`.
        options: of the strategy.
        seed: of all random streams.
        run: name of the run's folder in `runs_dir`; made of model, target, strategy and seed by default.
        mlflow: whether the run is tracked, or the tracking URI; `sqlite:///mlflow.db` by default.
        observer: is told how it goes on; the logger `raydgp` by default.
        settings: any other of `TuneSettings`, such as `batch=16` or `measure={"repeat": 5}`.

    Raises:
        InputError: an argument is wrong; nothing was changed.
        RaydgpError: the run could not go on; what was measured is kept.
    """
    layers, shapes = None, dict[str, Any]()
    if _is_module(model):
        if inputs is None:
            raise InputError("inputs: a torch module needs example inputs, tune(module, inputs=(torch.randn(...),))")
        from raydgp.models.exporting import export_module  # loads torch, which the module did already

        source = str(export_module(model, inputs, Path(runs_dir) / EXPORTED))
    elif isinstance(model, str | Path):
        source = source_of(str(model))
        shapes = inputs or {}
    else:
        layers = tasks_of(model)
        source = name_of(layers)
    given = {
        **settings,
        "model": source,
        "inputs": shapes,
        "target": target,
        "minutes": minutes,
        "trials": trials,
        "strategy": strategy,
        "options": dict(options or {}),
        "seed": seed,
        "run": run,
        "runs_dir": Path(runs_dir),
        "mlflow": {"uri": mlflow} if isinstance(mlflow, str) else {"enabled": mlflow},
    }
    return tune_settings(load_settings(None, given, TuneSettings, "raydgp.tune"), observer or PlainObserver(), layers)


def deploy(
    run: Run | str | Path,
    out: str | Path | None = None,
    compare: Sequence[str] = (),
    runs: int = 600,
    observer: Observer | None = None,
) -> Library:
    """Compiles the model of a run, or of a run's folder, with the best that was found; see `Run.deploy`.

    Raises:
        InputError: the folder is not a run; or as `Run.deploy`.
    """
    return (run if isinstance(run, Run) else Run.open(run)).deploy(out, compare, runs, observer)


def load(folder: str | Path) -> Library:
    """The deployed model of a folder, to be called with arrays: `load(folder)(x)` gives a tuple of arrays.

    Raises:
        InputError: the folder is no deployed model, or there is no GPU for it.
    """
    from raydgp.models.folder import Library  # loads TVM, which takes a second

    return Library(Path(folder))


def _is_module(model: Any) -> bool:
    """Whether it is a torch module, without importing torch for what is none."""
    return any(kind.__module__ == "torch.nn.modules.module" for kind in type(model).__mro__)
