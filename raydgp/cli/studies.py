"""Commands on what was measured before: record spaces, compare strategies on them, pre-train surrogates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.progress import Progress

from raydgp import search
from raydgp.cli.options import common_options, settings_of, settings_options
from raydgp.cli.shared import out, progress
from raydgp.errors import InputError
from raydgp.settings import CompareSettings, ImportSettings, PretrainingSettings, RecordSettings, TuneSettings
from raydgp.workloads import zoo

_path = click.Path(path_type=Path)


@click.group()
def history() -> None:
    """Record measurements, or import those of other tuners.

    Strategies are compared on recorded spaces, and surrogates learn from all records.
    """


@history.command()
@settings_options(
    RecordSettings, "model", "task", "target", "valid", "fix", "out", known={"model": lambda: list(zoo.NETWORKS)}
)
@common_options
def record(config: Path | None, as_json: bool, **given: Any) -> None:
    """Measure a whole thinned space on this machine.

    The same command again resumes.
    """
    from raydgp.app.history.recording import record as record_space
    from raydgp.app.history.recording import sub_space
    from raydgp.app.tune import plan
    from raydgp.measure.local import LocalMeasurer
    from raydgp.targets.host import host_target

    settings = settings_of(RecordSettings, config, given)
    _, (task,) = plan(TuneSettings(model=settings.model, tasks=[settings.task]))
    target, name = host_target(settings.target), f"{settings.model}/{settings.task}"
    space = sub_space(task.workload, target, settings.valid, settings.fix)
    with LocalMeasurer(target, settings.measure) as measurer, Progress(console=progress) as bar:
        row = bar.add_task(name)

        def show(done: int, total: int) -> None:
            bar.update(row, completed=done, total=total)

        found = record_space(name, space, target, measurer, settings.out, show)
    count, best = len(found.indices), float(found.gflops.max())
    if as_json:
        click.echo(json.dumps({"configurations": count, "best_gflops": best, "out": str(settings.out)}))
        return
    out.print(f"{count} configurations, best {best:.1f} GFLOPS. Results: {settings.out}", soft_wrap=True)


@history.command(name="import")
@click.argument("files", nargs=-1, required=True, type=_path)
@settings_options(ImportSettings, "device", "out")
@common_options
def import_(files: tuple[Path, ...], config: Path | None, as_json: bool, **given: Any) -> None:
    """Make records of other tuners' FILES.

    FILES are logs of AutoTVM, or folders with a MetaSchedule database.
    """
    from raydgp.app.history.importers import left_out, scan
    from raydgp.records.frames import write_parquet

    settings = settings_of(ImportSettings, config, given)
    scans = {file: scan(file, settings.device) for file in files}
    records = [record for found in scans.values() for record in found.records]
    told = {str(file): [f"{len(found.records)} records", *left_out(found)] for file, found in scans.items()}
    if not records:
        reasons = ", ".join(f"{file} ({'; '.join(lines)})" for file, lines in told.items())
        raise InputError(f"no record belongs to a known space: {reasons}; give other files")
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    write_parquet(records, settings.out)
    if as_json:
        click.echo(json.dumps({"records": len(records), "files": told, "out": str(settings.out)}))
        return
    for file, lines in told.items():
        out.print(f"{file}: {'; '.join(lines)}", soft_wrap=True, markup=False)
    out.print(f"{len(records)} records. Results: {settings.out}", soft_wrap=True)


@click.command()
@click.argument("recorded", nargs=-1, required=True, type=_path)
@settings_options(CompareSettings, "baseline", "seeds", "trials", "batch", "workers", known={"baseline": search.names})
@click.option("--strategies", metavar="NAME,...", help="Those of the file, or others with their default options.")
@click.option("--out", "csv", type=_path, help="CSV file to write, with a row for every search.")
@common_options
def compare(
    recorded: Sequence[Path],
    config: Path | None,
    strategies: str | None,
    csv: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Compare strategies on RECORDED spaces.

    RECORDED are Parquet files of `raydgp history record`, folders of them, or the name of spaces that come with raydgp,
    such as znver4.
    """
    from raydgp.app.compare.compare import check, summary
    from raydgp.app.compare.compare import compare as compare_strategies
    from raydgp.cli.display import comparison_table
    from raydgp.records.recorded import recorded_files

    recorded = recorded_files(recorded)
    settings = settings_of(CompareSettings, config, given)
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
@settings_options(
    PretrainingSettings,
    *("experiment", "out", "mlflow.uri", "mlflow.enabled", "alias", "epochs", "evaluate", "seed", "device"),
    flags={"mlflow.enabled": "register"},
)
@common_options
def pretrain(sources: tuple[Path, ...], config: Path | None, as_json: bool, **given: Any) -> None:
    """Train surrogates on the measurements in SOURCES.

    Each group of tasks gets a deep GP, and each template trees of all its groups. SOURCES are runs, journals, Parquet
    files, folders of them, or the name of spaces that come with raydgp, such as znver4.
    """
    from raydgp.app.history.sources import gather
    from raydgp.app.pretraining import make, plans
    from raydgp.cli.display import artefact_table
    from raydgp.surrogates.kinds import PretrainSettings
    from raydgp.tracking import model_registry as registry

    settings = settings_of(PretrainingSettings, config, given)
    uri = settings.mlflow.uri
    records = [record for name in settings.experiment for record in registry.experiment_records(uri, name)]
    wanted = plans(gather(sources, records))
    if not wanted:
        raise InputError("no group of tasks has 50 measurements, some of them successful; measure more")
    made, training = [], PretrainSettings(epochs=settings.epochs, seed=settings.seed, device=settings.device)
    with Progress(console=progress) as bar:
        row = bar.add_task("", total=len(wanted))
        for plan in wanted:
            bar.update(row, description=plan.name)
            made.append(make(plan, settings.out, training, settings.evaluate))
            bar.advance(row)
    if settings.mlflow.enabled:
        for artefact in made:
            card = artefact.card
            figures = {"records": card.records, "tasks": card.tasks, **card.held_out}
            metrics = {key: float(value) for key, value in figures.items() if isinstance(value, int | float)}
            tags = {"group": card.group, "target": card.target, "template": card.template}
            registry.register(artefact.folder, f"raydgp-{artefact.folder.name}", metrics, tags, uri, settings.alias)
    if as_json:
        click.echo(json.dumps([{"folder": str(a.folder), "held_out": a.card.held_out} for a in made]))
        return
    out.print(artefact_table(made))
    where = f", in MLflow as raydgp-<name>@{settings.alias}" if settings.mlflow.enabled else ""
    out.print(f"Results: {settings.out}{where}", soft_wrap=True)
