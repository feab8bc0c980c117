"""The folder of a run whose model can be deployed."""

from pathlib import Path
from typing import Any

import numpy as np

from raydgp import config_space
from raydgp.models.importing import load
from raydgp.models.lowering import lower
from raydgp.records import Context, Measurement, Record, RunFolder, RunManifest, Status, TaskEntry
from raydgp.settings import TrackingSettings, TuneSettings
from raydgp.targets import Target
from raydgp.targets.compiler import versions


def write_run(
    here: Path, target: Target, device: dict[str, Any], model: str = "nets:small", mlflow: bool = True
) -> None:
    settings = TuneSettings(
        model=model,
        target=target.kind,
        run="r",
        runs_dir=here / "runs",
        mlflow=TrackingSettings(enabled=mlflow, uri=f"sqlite:///{here / 'm.db'}"),
    )
    tasks = lower(load(model).module, target).tasks
    entries, records = [], []
    for place, task in enumerate(tasks):
        space = config_space(task.workload, target)
        entries.append(TaskEntry.of(task.name, task.count, space))
        context = Context(
            task=task.name,
            workload=task.workload.to_dict(),
            target=target,
            space_hash=space.hash,
            strategy="random",
            seed=0,
            run="r",
        )
        other = int(space.sample_valid(1, np.random.default_rng(place))[0])
        for trial, index in enumerate([space.default, other][: place % 3]):
            measured = Measurement(index=index, status=Status.OK, times_s=(1e-3 / (1 + trial),))
            records.append(Record(context=context, trial=trial, knobs={}, measurement=measured))
    manifest = RunManifest(
        settings=settings.model_dump(mode="json"),
        tasks=entries,
        target=target,
        device=device,
        versions=versions(),
        created_unix_s=0.0,
        spent_s=2.0,
    )
    manifest.save(settings.run_dir)
    with RunFolder(settings.run_dir).writer() as journal:
        journal.append(records)
