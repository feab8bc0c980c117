"""What came back of a bundle as a run of its own: in a folder, and in MLflow."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from raydgp import tracking
from raydgp.bundle.merging import STRATEGY, Merged, merge
from raydgp.errors import InputError
from raydgp.records import RunFolder, RunManifest, TaskEntry
from raydgp.records.frames import write_parquet
from raydgp.records.model_latency import ModelLatency
from raydgp.settings import MeasureSettings, MergeSettings, TuneSettings

RECORDS_NAME = "records.parquet"
SPACES_NAME = "spaces"


@dataclass(frozen=True)
class MergedRun:
    """A bundle's results as a run.

    Attributes:
        folder: of the run.
        kernels, measured: of the bundle, in all states of the caches that it asks for.
        records: of the run, with the kernels that could not be built.
        models: latencies of whole models.
        spaces: files of the sub-spaces that were measured as a whole.
        note: where MLflow has it; empty where nothing is tracked.
    """

    folder: Path
    kernels: int
    measured: int
    records: int
    models: tuple[ModelLatency, ...]
    spaces: tuple[Path, ...]
    note: str


def merge_into_run(bundle: Path, results: Sequence[Path], settings: MergeSettings) -> MergedRun:
    """Writes a run with all that the results hold, and sends it to MLflow.

    The folder is a run's, so that reports, MLflow, `raydgp tune` beside it and `raydgp pretrain` read it. With it come
    the records as one small Parquet file, and each sub-space that was measured as a whole as a file of its own, which
    `raydgp compare` takes. Again with more results, it is written anew.

    Raises:
        InputError: the files do not fit, there is nothing in them, or the folder is something else.
    """
    run = RunFolder(settings.out or Path("runs") / bundle.stem)
    if run.path.exists() and not (run.journal.is_file() and run.settings.strategy == STRATEGY):
        raise InputError(f"{run.path}: is there, and no run of a bundle; give another --out")
    found = merge(bundle, results, run.name)
    records = [record for task in found.tasks for record in task.records]
    if not found.measured and not any(model.times_s for model in found.models):
        raise InputError(f"{results[0]}: no kernel was measured; run `raydgp bundle run` for longer")
    if settings.mlflow.enabled:
        tracking.check(settings.mlflow.uri)
    try:
        run.journal.unlink(missing_ok=True)
        run.save(_manifest(run, bundle, found, settings))
    except OSError as error:
        raise InputError(f"{run.path}: {error.strerror or error}; give another --out") from None
    with run.writer() as journal:
        journal.append(sorted(records, key=lambda record: record.measurement.time_unix_s))
    write_parquet(records, run.path / RECORDS_NAME)
    spaces = []
    for task in found.tasks:
        if recorded := task.recorded():
            spaces.append(run.path / SPACES_NAME / f"{task.name.replace('/', '-')}.parquet")
            recorded.save(spaces[-1])
    note = f"MLflow: {tracking.sync(run.path)}" if settings.mlflow.enabled else ""
    return MergedRun(run.path, found.kernels, found.measured, len(records), tuple(found.models), tuple(spaces), note)


def _manifest(run: RunFolder, bundle: Path, found: Merged, settings: MergeSettings) -> RunManifest:
    asked = TuneSettings(
        model=bundle.stem,
        target=found.target.kind,
        strategy=STRATEGY,
        run=run.name,
        runs_dir=run.path.parent,
        measure=MeasureSettings(**found.measure),
        mlflow=settings.mlflow,
    )
    calls: Counter[str] = Counter()
    for kernel in found.models[0].kernels if len(found.models) == 1 else ():
        calls[kernel.task] += kernel.calls
    return RunManifest(
        settings=asked.model_dump(mode="json"),
        tasks=[TaskEntry.of(task.name, calls[task.name] or 1, task.space) for task in found.tasks],
        target=found.target,
        device=found.device,
        versions=found.versions,
        created_unix_s=found.started_unix_s,
        finished_unix_s=time.time(),
        models=found.models,
    )
