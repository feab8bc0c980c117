"""Commands on what was measured before: record spaces, compare strategies on them, pre-train surrogates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.progress import Progress

from raydgp.cli.shared import as_json_option, out, progress
from raydgp.errors import InputError

_path = click.Path(path_type=Path)


@click.group()
def history() -> None:
    """Recorded measurements: what strategies are compared on, and what surrogates learn from."""


@history.command()
@click.option("--model", required=True, help="Network of the task.")
@click.option("--task", "task_name", required=True, help="The layer task whose space is measured.")
@click.option("--target", "kind", default="llvm", show_default=True, help="llvm or cuda.")
@click.option("--valid", default=2000, show_default=True, help="Valid configurations of the thinned space, at most.")
@click.option("--fix", "fixed", multiple=True, metavar="KNOB=OPTION", help="A knob that keeps only this option.")
@click.option("--out", "path", required=True, type=_path, help="Parquet file to write.")
def record(model: str, task_name: str, kind: str, valid: int, fixed: tuple[str, ...], path: Path) -> None:
    """Measures a whole thinned space on this machine; the same command again resumes."""
    from raydgp.app.history.recording import record as record_space
    from raydgp.app.history.recording import sub_space
    from raydgp.app.tune import plan
    from raydgp.measure.local import LocalMeasurer
    from raydgp.settings import MeasureSettings, TuneSettings
    from raydgp.targets.host import host_target

    _, (task,) = plan(TuneSettings(model=model, tasks=[task_name]))
    target, name = host_target(kind), f"{model}/{task_name}"
    space = sub_space(task.workload, target, valid, fixed)
    with LocalMeasurer(target, MeasureSettings()) as measurer, Progress(console=progress) as bar:
        row = bar.add_task(name)
        found = record_space(
            name, space, target, measurer, path, lambda done, total: bar.update(row, completed=done, total=total)
        )
    out.print(f"{len(found.indices)} configurations, best {found.gflops.max():.1f} GFLOPS. Results: {path}")


@history.command(name="import")
@click.argument("files", nargs=-1, required=True, type=_path)
@click.option("--device", required=True, help="Name of the device that they were measured on; they do not say it.")
@click.option("--out", "path", required=True, type=_path, help="Parquet file to write.")
@as_json_option
def import_(files: tuple[Path, ...], device: str, path: Path, as_json: bool) -> None:
    """Makes records of FILES: logs of AutoTVM, or folders with a MetaSchedule database."""
    from raydgp.app.history.importers import left_out, scan
    from raydgp.records.frames import write_parquet

    scans = {file: scan(file, device) for file in files}
    records = [record for found in scans.values() for record in found.records]
    told = {str(file): [f"{len(found.records)} records", *left_out(found)] for file, found in scans.items()}
    if not records:
        raise InputError(f"no record of a space that we have: {told}; give other files")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_parquet(records, path)
    if as_json:
        click.echo(json.dumps({"records": len(records), "files": told, "out": str(path)}))
        return
    for file, lines in told.items():
        out.print(f"{file}: {'; '.join(lines)}", soft_wrap=True, markup=False)
    out.print(f"{len(records)} records. Results: {path}", soft_wrap=True)


@click.command()
@click.argument("recorded", nargs=-1, required=True, type=_path)
@click.option("--config", type=_path, help="YAML file; the options below go over it.")
@click.option("--strategies", help="Names, separated by commas; of the file's, or with their default options.")
@click.option("--baseline", help="Strategy of the ratios; autotvm by default.")
@click.option("--seeds", type=int, help="Searches of each strategy on each space; 10 by default.")
@click.option("--trials", type=int, help="Measurements that a search may take; 1000 by default.")
@click.option("--batch", type=int, help="Measurements between two learnings; 8 by default.")
@click.option("--workers", type=int, help="Searches at a time; 1, the default, to trust the seconds.")
@click.option("--out", "csv", type=_path, help="CSV file with a row for every search.")
@as_json_option
def compare(
    recorded: Sequence[Path],
    config: Path | None,
    strategies: str | None,
    csv: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Compares strategies on RECORDED spaces.

    RECORDED are Parquet files of `raydgp history record`, folders of them, or the name of spaces that come with raydgp,
    such as znver4.
    """
    from raydgp.app.compare.compare import check, summary
    from raydgp.app.compare.compare import compare as compare_strategies
    from raydgp.cli.display import comparison_table
    from raydgp.records.recorded import recorded_files
    from raydgp.settings import CompareSettings, load

    recorded = recorded_files(recorded)
    settings = load(config, given, CompareSettings)
    if strategies is not None:
        named = {name: settings.strategies.get(name, {}) for name in map(str.strip, strategies.split(","))}
        settings = settings.model_copy(update={"strategies": named})
    if settings.baseline not in settings.strategies:
        raise InputError(f"baseline {settings.baseline!r} is not among the strategies; add it to them")
    check(recorded, settings)
    with Progress(console=progress) as bar:
        row = bar.add_task("")
        runs = compare_strategies(
            recorded,
            settings,
            lambda what, done, total: bar.update(row, description=what, completed=done, total=total),
        )
    if csv:
        runs.to_csv(csv, index=False)
    table = summary(runs, settings.baseline)
    if as_json:
        click.echo(table.to_json(orient="records"))
        return
    out.print(comparison_table(table, settings.baseline))
    where = csv or "this table; --out keeps every search"
    out.print(f"{runs['task'].nunique()} tasks, {settings.seeds} seeds. Results: {where}", soft_wrap=True)


@click.command()
@click.argument("sources", nargs=-1, type=_path)
@click.option("--experiment", multiple=True, help="MLflow experiment whose runs are learnt from, too.")
@click.option("--out", "folder", default=Path("models"), show_default=True, type=_path, help="Folder of the artefacts.")
@click.option("--mlflow-uri", default="sqlite:///mlflow.db", show_default=True, help="Where they are registered.")
@click.option("--register/--no-register", default=True, show_default=True, help="Whether MLflow is told of them.")
@click.option("--alias", default="champion", show_default=True, help="Of the registered version.")
@click.option("--epochs", default=100, show_default=True, help="Of each training at most; the paper allows 3000.")
@click.option(
    "--evaluate/--no-evaluate",
    default=True,
    show_default=True,
    help="Whether a training without a held-out part comes first, for the card's figures; it doubles the time.",
)
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="cpu", show_default=True, help="Where the models are trained, cpu or cuda.")
@as_json_option
def pretrain(
    sources: tuple[Path, ...],
    experiment: tuple[str, ...],
    folder: Path,
    mlflow_uri: str,
    register: bool,
    alias: str,
    epochs: int,
    evaluate: bool,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Trains a deep GP for each group of tasks in SOURCES.

    SOURCES are runs, journals, Parquet files, folders of them, or the name of spaces that come with raydgp, such as
    znver4.
    """
    from raydgp.app.history.sources import gather
    from raydgp.app.pretraining import make, plans
    from raydgp.cli.display import artefact_table
    from raydgp.surrogates.kinds import PretrainSettings
    from raydgp.tracking import model_registry as registry

    records = [record for name in experiment for record in registry.experiment_records(mlflow_uri, name)]
    wanted = plans(gather(sources, records))
    if not wanted:
        raise InputError("no group of tasks has 50 measurements, some of them successful; measure more")
    made = []
    with Progress(console=progress) as bar:
        row = bar.add_task("", total=len(wanted))
        for plan in wanted:
            bar.update(row, description=plan.name)
            settings = PretrainSettings(epochs=epochs, seed=seed, device=device)
            made.append(make(plan, folder, settings, evaluate))
            bar.advance(row)
    if register:
        for artefact in made:
            card = artefact.card
            figures = {"records": card.records, "tasks": card.tasks, **card.held_out}
            metrics = {key: float(value) for key, value in figures.items() if isinstance(value, int | float)}
            tags = {"group": card.group, "target": card.target, "template": card.template}
            registry.register(artefact.folder, f"raydgp-{artefact.folder.name}", metrics, tags, mlflow_uri, alias)
    if as_json:
        click.echo(json.dumps([{"folder": str(a.folder), "held_out": a.card.held_out} for a in made]))
        return
    out.print(artefact_table(made))
    where = f", in MLflow as raydgp-<name>@{alias}" if register else ""
    out.print(f"Results: {folder}{where}", soft_wrap=True)
