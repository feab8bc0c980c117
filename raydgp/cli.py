"""The command line: raydgp tune | report | sync | doctor. Exit codes: 0 done, 2 bad input, 1 anything else."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from raydgp import doctor as doctor_checks
from raydgp import settings as settings_module
from raydgp.display import findings_table, print_report
from raydgp.errors import InputError, RaydgpError

_out = Console()
_progress = Console(stderr=True)  # so that stdout holds the result alone

_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document for machines.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="raydgp")
def cli() -> None:
    """Tunes the kernels of a neural network for the hardware at hand."""


def _text(name: str, key: str, help: str, kind: Any = str) -> Callable[[Any], Any]:
    return click.option(f"--{name}", key, type=kind, default=None, help=help)


@cli.command()
@_text("config", "config", "YAML file; the options below go over it.", click.Path(path_type=Path))
@_text("model", "model", "Network to tune: alexnet, resnet18, vgg16, mobilenet_v1, squeezenet_v1_1.")
@_text("tasks", "tasks", "Names of its layer tasks, separated by commas; all by default.")
@_text("target", "target", "llvm (this machine's CPU, the default) or cuda.")
@_text("strategy", "strategy", "How to search; autotvm by default.")
@_text("trials", "trials", "Configurations measured for each task; 64 by default.", int)
@_text("batch", "batch", "Configurations a Tune trial measures; 16 by default.", int)
@_text("seed", "seed", "Seed of all random streams; 0 by default.", int)
@_text("run", "run", "Name of the run; the same name resumes it.")
@_text("runs-dir", "runs_dir", "Folder of the runs; `runs` by default.", click.Path(path_type=Path))
@_text("ray-address", "ray_address", "A running Ray cluster; one is started here by default.")
@_text("mlflow-uri", "mlflow_uri", "MLflow tracking URI; sqlite:///mlflow.db by default.")
@_as_json
def tune(config: Path | None, as_json: bool, **given: Any) -> None:
    """Measures and searches the layer tasks of a network; the same command again resumes."""
    from raydgp import tune as tuning

    tasks, ray_address, mlflow_uri = (given.pop(key) for key in ("tasks", "ray_address", "mlflow_uri"))
    overrides = {
        **given,
        "tasks": [name.strip() for name in tasks.split(",") if name.strip()] if tasks is not None else None,
        "ray": {"address": ray_address},
        "mlflow": {"uri": mlflow_uri},
    }
    settings = settings_module.load(config, overrides)
    outcome = tuning.run(settings, _progress)
    if as_json:
        click.echo(json.dumps(outcome.to_dict()))
        return
    print_report(_out, outcome.summary, outcome.manifest.peak_gflops)
    _out.print(f"Results: {outcome.run_dir}  (again: raydgp report {outcome.run_dir})", soft_wrap=True)
    for note in outcome.notes:
        _out.print(note, soft_wrap=True)


@cli.command()
@click.argument("run", type=click.Path(path_type=Path))
@_as_json
def report(run: Path, as_json: bool) -> None:
    """Shows what RUN (a folder, or a name under `runs`) has found, from its journal."""
    from raydgp import tune as tuning

    outcome = tuning.read(_run_dir(run))
    if as_json:
        click.echo(json.dumps(outcome.to_dict()))
        return
    print_report(_out, outcome.summary, outcome.manifest.peak_gflops)
    for note in outcome.notes:
        _out.print(note, soft_wrap=True)
    _out.print(f"Results: {outcome.run_dir}", soft_wrap=True)


@cli.command()
@click.argument("run", type=click.Path(path_type=Path))
def sync(run: Path) -> None:
    """Sends to MLflow what its server has not got of RUN; twice does no harm."""
    from raydgp import tracking

    where = tracking.sync(_run_dir(run))
    _out.print(f"Results: {where}", soft_wrap=True)


@cli.command()
@_as_json
def doctor(as_json: bool) -> None:
    """Looks at what this machine has for tuning, and says how to mend what it lacks."""
    findings = list(doctor_checks.examine())
    if as_json:
        click.echo(json.dumps([vars(finding) for finding in findings]))
    else:
        _out.print(findings_table(findings))
    if any(finding.state == "broken" for finding in findings):
        raise SystemExit(1)


@cli.group()
def history() -> None:
    """Recorded measurements: what strategies are compared on, and what surrogates learn from."""


@history.command()
@click.option("--model", required=True, help="Network of the task.")
@click.option("--task", "task_name", required=True, help="The layer task whose space is measured.")
@click.option("--valid", default=2000, show_default=True, help="Valid configurations of the thinned space, at most.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Parquet file to write.")
def record(model: str, task_name: str, valid: int, out: Path) -> None:
    """Measures a whole thinned space of this machine's CPU; the same command again resumes."""
    from rich.progress import Progress

    from raydgp.kernels.target import host_target
    from raydgp.measure.local import LocalMeasurer
    from raydgp.settings import MeasureSettings, TuneSettings
    from raydgp.space import config_space
    from raydgp.space.thinning import thinned
    from raydgp.study.recording import record as record_space
    from raydgp.tune import plan

    (task,) = plan(TuneSettings(model=model, tasks=[task_name]))
    space = thinned(config_space(task.workload, "llvm"), valid)
    target = host_target("llvm")
    with LocalMeasurer(target, MeasureSettings()) as measurer, Progress(console=_progress) as bar:
        row = bar.add_task(f"{model}/{task_name}")
        found = record_space(
            f"{model}/{task_name}",
            space,
            target,
            measurer,
            out,
            lambda done, total: bar.update(row, completed=done, total=total),
        )
    _out.print(f"{len(found.indices)} configurations, best {found.gflops.max():.1f} GFLOPS. Results: {out}")


@cli.command()
@click.argument("recorded", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--strategies", default="random,autotvm", show_default=True, help="Names, separated by commas.")
@click.option("--baseline", default="autotvm", show_default=True, help="Strategy of the ratios.")
@click.option("--seeds", default=10, show_default=True)
@click.option("--trials", default=1000, show_default=True, help="Measurements that a search may take.")
@click.option("--batch", default=8, show_default=True, help="Measurements between two learnings.")
@click.option("--workers", default=1, show_default=True, help="Searches at a time; 1 to trust the seconds.")
@click.option("--out", type=click.Path(path_type=Path), help="CSV file with a row for every search.")
@_as_json
def compare(
    recorded: tuple[Path, ...],
    strategies: str,
    baseline: str,
    seeds: int,
    trials: int,
    batch: int,
    workers: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Compares strategies on RECORDED spaces (Parquet files of `raydgp history record`)."""
    from rich.progress import Progress

    from raydgp.display import comparison_table
    from raydgp.study.compare import compare as compare_strategies
    from raydgp.study.compare import summary

    names = [name.strip() for name in strategies.split(",")]
    if baseline not in names:
        raise InputError(f"--baseline {baseline} is not among the strategies; add it to --strategies")
    with Progress(console=_progress) as bar:
        row = bar.add_task("searches", total=seeds * len(recorded) * len(names))
        runs = compare_strategies(
            recorded, {name: {} for name in names}, seeds, trials, batch, workers, lambda: bar.advance(row)
        )
    if out:
        runs.to_csv(out, index=False)
    table = summary(runs, baseline)
    if as_json:
        click.echo(table.to_json(orient="records"))
        return
    _out.print(comparison_table(table, baseline))
    _out.print(
        f"{runs['task'].nunique()} tasks, {seeds} seeds. Results: {out or 'this table; --out keeps every search'}"
    )


def _run_dir(run: Path) -> Path:
    """A folder as it is, a bare name as a run under `runs`."""
    return run if run.is_dir() or run.parent != Path() else Path("runs") / run


def main() -> None:
    """Entry point: every error on purpose becomes one line."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        sys.exit(cli(standalone_mode=False))
    except click.exceptions.Abort:
        _fail("stopped", 1)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except InputError as error:
        _fail(str(error), 2)
    except RaydgpError as error:
        _fail(str(error), 1)


def _fail(message: str, code: int) -> None:
    print(f"raydgp: {message}", file=sys.stderr)
    sys.exit(code)
