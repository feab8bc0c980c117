"""Commands on what was measured before: record spaces, compare strategies on them, pre-train surrogates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import raydgp
from raydgp import app, cli, reports, search, surrogates, tracking
from raydgp.cli.options import common_options, progress_option, settings_of, settings_options
from raydgp.cli.shared import RunPath, run_dir_of
from raydgp.errors import InputError
from raydgp.settings import CompareSettings, ImportSettings, PretrainingSettings, RecordSettings
from raydgp.targets import kinds

_path = click.Path(path_type=Path)


@click.group()
def history() -> None:
    """Record measurements, or import those of other tuners.

    Strategies are compared on recorded spaces, and surrogates learn from all records.
    """


@history.command()
@settings_options(
    RecordSettings,
    "model",
    "task",
    "target",
    "valid",
    "fix",
    "out",
    known={"model": lambda: list(raydgp.zoo.NETWORKS), "target": kinds},
)
@progress_option
@common_options
def record(config: Path | None, as_json: bool, **given: Any) -> None:
    """Measure a whole thinned space on this machine.

    The same command again resumes.
    """

    settings = settings_of(RecordSettings, config, given)
    space, target = app.history.recording.planned(settings)
    tell = cli.live.counted(cli.live.observer_of(cli.console.progress), f"{settings.model}/{settings.task}")
    found = app.history.recording.record_here(settings, space, target, tell)
    count, best = len(found.indices), float(found.gflops.max())
    if as_json:
        click.echo(json.dumps({"configurations": count, "best_gflops": best, "out": str(settings.out)}))
        return
    cli.console.say(f"{count} configurations, best {best:.1f} GFLOPS. Results: {settings.out}")


@history.command(name="import")
@click.argument("files", nargs=-1, required=True, type=_path)
@settings_options(ImportSettings, "device", "out")
@common_options
def import_(files: tuple[Path, ...], config: Path | None, as_json: bool, **given: Any) -> None:
    """Make history of other tuners' FILES.

    FILES are logs of AutoTVM or folders with a MetaSchedule database, which become records; or cache files of Kernel
    Tuner and T4 results, a T1 description of their space among them, which become recorded spaces.
    """

    settings = settings_of(ImportSettings, config, given)
    count, gave = app.history.importers.import_files(files, settings.device, settings.out)
    if as_json:
        click.echo(json.dumps({"records": count, "files": gave, "out": str(settings.out)}))
        return
    for file, lines in gave.items():
        cli.console.say(f"{file}: {'; '.join(lines)}")
    cli.console.say(f"{count} records. Results: {settings.out}")


@history.command()
@click.argument("source", type=_path)
@click.option("--t4", is_flag=True, help="Write the T4 format of the autotuning community.")
@click.option("--out", required=True, type=_path, help="JSON file to write; a folder of them for several tasks.")
@common_options
def export(source: Path, t4: bool, out: Path, as_json: bool) -> None:
    """Write the measurements of SOURCE in a format that others read.

    SOURCE is a run, a journal, or a Parquet file of records or of a recorded space.
    """

    if not t4:
        raise InputError("give --t4, the format to write")
    written = app.history.exporting.export_t4(source, out)
    if as_json:
        click.echo(json.dumps({"files": {str(file): count for file, count in written.items()}, "out": str(out)}))
        return
    cli.console.say(f"{sum(written.values())} measurements of {len(written)} tasks. Results: {out}")


@history.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=RunPath())
@common_options
def compact(runs: tuple[Path, ...], as_json: bool) -> None:
    """Pack the journal of RUN: less room, opened and searched faster.

    What is in it stays as it is, and the same command tunes on. RUN is a folder, or the name of one under `runs`.
    """
    gave = {str(run): app.history.packing.pack(run) for run in map(run_dir_of, runs)}
    if as_json:
        click.echo(json.dumps(gave))
        return
    for name, each in gave.items():
        sizes = f"{each['bytes_before'] / 1e6:.1f} MB before, {each['bytes'] / 1e6:.1f} MB now"
        cli.console.say(f"{name}: {each['lines']} lines packed, {sizes}")


@click.command()
@click.argument("recorded", nargs=-1, type=_path)
@settings_options(
    CompareSettings,
    *("baseline", "seeds", "trials", "batch", "patience", "runners", "workers"),
    known={"baseline": lambda: search.names()},
)
@click.option("--strategies", metavar="NAME,...", help="Those of the file, or others with their default options.")
@click.option("--out", "csv", type=_path, help="CSV file to write, with a row for every search.")
@click.option("--figures", type=_path, help="Folder to draw figures to, as SVG and PDF.")
@click.option("--tables", type=_path, help="Folder to write the papers' tables to, as CSV, Markdown and LaTeX.")
@progress_option
@common_options
def compare(
    recorded: Sequence[Path],
    config: Path | None,
    strategies: str | None,
    csv: Path | None,
    tables: Path | None,
    figures: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Compare strategies on RECORDED spaces, or on hardware.

    RECORDED are Parquet files of `raydgp history record`, folders of them, or the name of spaces that come with raydgp,
    such as znver4. Without them the models of the file's section `live` are searched here, with every strategy and
    seed; the same command again goes on.
    """

    settings = settings_of(CompareSettings, config, given)
    if strategies is not None:
        named = {name: settings.strategies.get(name, {}) for name in map(str.strip, strategies.split(","))}
        settings = settings.model_copy(update={"strategies": named})
    if settings.baseline not in settings.strategies:
        raise InputError(f"baseline {settings.baseline!r} is not among the strategies; add it, or change --baseline")
    if csv and csv.is_dir():
        raise InputError(f"{csv}: is a folder; give --out a file to write")
    observer, whole, predicted = cli.live.observer_of(cli.console.progress), None, None
    if bool(recorded) == bool(settings.live.models):
        raise InputError("give either RECORDED spaces, or models in the section `live` of --config")
    if recorded:
        files = app.compare.compare.check(recorded, settings)
        runs = app.compare.compare.compare(files, settings, observer.step)
        predicted = app.compare.predictions.predictions(files, settings) if figures else None
    else:
        runs, whole = app.compare.study.run_study(settings, observer)
    if csv:
        runs.to_csv(csv, index=False)
    made = app.compare.tables.of(runs, settings.baseline, whole)
    if tables:
        app.compare.writing.write(made, tables)
    if figures:
        alone = runs[runs["runners"] == runs["runners"].min()]
        reports.study_figures.write(alone, made["models"], settings.baseline, figures, predicted)
    if as_json:
        click.echo(made["summary"].to_json(orient="records"))
        return
    for name in ("summary", "runners"):
        if name in made:
            shown = app.compare.writing.brief(made[name])
            cli.console.out.print(cli.display.frame_table(shown))
            if app.compare.writing.censored(shown):
                cli.console.say(app.compare.writing.CENSORED)
    where = (
        ", ".join(str(each) for each in (csv, tables, figures) if each) or "this table; --out and --tables keep more"
    )
    cli.console.say(f"{runs['task'].nunique()} tasks, {settings.seeds} seeds. Results: {where}")


@click.command()
@click.argument("sources", nargs=-1, type=_path)
@settings_options(
    PretrainingSettings,
    *("experiment", "out", "mlflow.uri", "mlflow.enabled", "alias", "epochs", "evaluate", "seed", "device"),
    flags={"mlflow.enabled": "register"},
)
@progress_option
@common_options
def pretrain(sources: tuple[Path, ...], config: Path | None, as_json: bool, **given: Any) -> None:
    """Train surrogates on the measurements in SOURCES.

    Each group of tasks gets a deep GP, and each template trees of all its groups. SOURCES are runs, journals, Parquet
    files, folders of them, or the name of spaces that come with raydgp, such as znver4.
    """

    settings = settings_of(PretrainingSettings, config, given)
    uri = settings.mlflow.uri
    loose = [record for name in settings.experiment for record in tracking.model_registry.experiment_records(uri, name)]
    wanted = app.pretraining.plans(surrogates.sources.gather(sources, loose))
    if not wanted:
        raise InputError("no group of tasks has 50 measurements, some of them successful; measure more")
    made, training = [], surrogates.PretrainSettings(epochs=settings.epochs, seed=settings.seed, device=settings.device)
    observer = cli.live.observer_of(cli.console.progress)
    for done, plan in enumerate(wanted):
        observer.step("pre-training", done, len(wanted), plan.name)
        made.append(app.pretraining.make(plan, settings.out, training, settings.evaluate))
    observer.step("pre-training", len(wanted), len(wanted))
    if settings.mlflow.enabled:
        for artefact in made:
            card = artefact.card
            figures = {"records": card.records, "tasks": card.tasks, **card.held_out}
            metrics = {key: float(value) for key, value in figures.items() if isinstance(value, int | float)}
            tags = {"group": card.group, "target": card.target, "template": card.template}
            tracking.model_registry.register(
                artefact.folder, f"raydgp-{artefact.folder.name}", metrics, tags, uri, settings.alias
            )
    if as_json:
        click.echo(json.dumps([{"folder": str(a.folder), "held_out": a.card.held_out} for a in made]))
        return
    cli.console.out.print(cli.display.artefact_table(made))
    where = f", in MLflow as raydgp-<name>@{settings.alias}" if settings.mlflow.enabled else ""
    cli.console.say(f"Results: {settings.out}{where}")
