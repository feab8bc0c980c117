"""What a run's folder holds already, and the manifest that says what it is."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from raydgp import models
from raydgp.errors import InputError
from raydgp.records import Record, RunFolder, RunManifest, TaskEntry
from raydgp.records.history import Machine, known
from raydgp.settings import PLACES, TuneSettings
from raydgp.targets import Target
from raydgp.templates.spaces import config_space
from raydgp.workloads import Task

if TYPE_CHECKING:
    from raydgp.cluster import Cluster

_UNSEARCHED = {*PLACES, "run", "ray"}
_FIXED = ("model", "target", "strategy", "options", "seed", "batch")  # another value would be another search


def as_it_was(settings: TuneSettings) -> bool:
    """Whether a whole model's run is finished and nothing has changed since, so that it need not be imported again."""
    run = RunFolder(settings.run_dir)
    if not settings.is_imported or not run.exists or run.manifest.finished_unix_s is None:
        return False
    shown = (run.manifest.settings, settings.model_dump(mode="json"))
    before, now = ({**each, **dict.fromkeys(_UNSEARCHED)} for each in shown)
    before["measure"] = before["measure"] | {"model_mb": now["measure"]["model_mb"] or before["measure"]["model_mb"]}
    now["measure"] = now["measure"] | {"model_mb": before["measure"]["model_mb"]}
    return before == now and run.manifest.source == models.sources.fingerprint(settings.model) is not None


def finished(settings: TuneSettings, tasks: Sequence[Task], so_far: list[Record]) -> bool:
    """Whether the budget is spent: of every task, or of the model as a whole."""
    if settings.by_gain:
        run = RunFolder(settings.run_dir)
        if not run.exists:
            return False
        before = run.manifest
        same = all(before.settings[key] == getattr(settings, key) for key in ("trials", "minutes"))
        return same and before.finished_unix_s is not None
    spaces = [config_space(task.workload, settings.target) for task in tasks]
    return all(len(known(so_far, space.hash)) >= min(settings.trials, space.size) for space in spaces)


def records_so_far(settings: TuneSettings, tasks: Sequence[Task]) -> list[Record]:
    """What the run's folder holds already, once it is sure that it is this run's.

    Raises:
        InputError: the folder belongs to a run with other settings, or its journal to other spaces.
    """
    run = RunFolder(settings.run_dir)
    now = settings.model_dump(mode="json")
    records = run.records()
    if run.exists:
        before = {key: run.manifest.settings[key] for key in _FIXED}
    else:
        before = {key: getattr(records[0].context, key) for key in ("strategy", "seed")} if records else {}
    for key, was in before.items():
        if was != now[key]:
            raise InputError(
                f"{run.path} was made with {key}={was!r}, not {now[key]!r}; choose another name with --run"
            )
    hashes = {task.name: config_space(task.workload, settings.target).hash for task in tasks}
    for record in records:
        if hashes.get(record.context.task, record.context.space_hash) != record.context.space_hash:
            raise InputError(
                f"{run.journal} holds {record.context.task} in another space "
                f"({record.context.space_hash}, not {hashes[record.context.task]}); choose another name with --run"
            )
    return records


def check_machine(run: RunFolder, target: Target, device: dict[str, Any]) -> None:
    """Whether a run may go on here: its measurements are compared with each other.

    Raises:
        InputError: it was begun on another kind of machine.
    """
    machine = run.manifest.machine if run.exists else next(map(Machine.of, run.records()), Machine(target, device))
    if machine.target != target:
        was, now = (f"target {each} {each.to_dict()}" for each in (machine.target, target))
    else:
        unlike = machine.unlike(device)
        was, now = (", ".join(f"{key}={each[key]!r}" for key in unlike) for each in (machine.device, device))
    if was != now:
        raise InputError(
            f"{run.path} was measured with {was}, and here is {now}, whose timings are others; choose another name "
            "with --run"
        )


def manifest_of(
    settings: TuneSettings, tasks: Sequence[Task], cluster: Cluster, notes: Sequence[str] = ()
) -> RunManifest:
    """The manifest of this run, with what an earlier start of it has found out kept.

    Raises:
        InputError: it was begun on another kind of machine.
    """
    run = RunFolder(settings.run_dir)
    check_machine(run, cluster.target, cluster.device)
    before = run.manifest if run.exists else None
    kept = before if before and before.device == cluster.device else None
    earlier = {entry.name: entry for entry in before.tasks} if before else {}
    untuned_s = {e.name: e.untuned_s for e in kept.tasks if e.untuned_s is not None} if kept else {}
    unknown = [] if settings.is_imported else [task.workload for task in tasks if task.name not in untuned_s]
    baselines = cluster.baselines(unknown) if unknown or kept is None else None
    peak_gflops = baselines.peak_gflops if baselines else kept.peak_gflops if kept else None
    entries = []
    for task in tasks:
        space = config_space(task.workload, cluster.target)
        seconds = untuned_s.get(task.name) or (baselines.untuned_s.get(task.workload) if baselines else None)
        entry = earlier.pop(task.name, None)
        entries.append(
            TaskEntry.of(
                task.name,
                task.count,
                space,
                start_points=entry.start_points if entry else [],
                settled=entry is not None and entry.settled,
                untuned_s=seconds if seconds and math.isfinite(seconds) else None,
            )
        )
    return RunManifest(
        settings=settings.model_dump(mode="json"),
        tasks=[*entries, *earlier.values()],  # a task that is left out this time stays a task of the run
        target=cluster.target,
        device=cluster.device,
        versions=cluster.versions,
        git_commit=_git_commit(),
        created_unix_s=before.created_unix_s if before else time.time(),
        peak_gflops=peak_gflops,
        spent_s=before.spent_s if before else 0.0,
        source=models.sources.fingerprint(settings.model) if settings.is_imported else None,
        notes=list(notes),
    )


def _git_commit() -> str | None:
    """Commit of the working directory, which is the user's project; None outside of a repository."""
    try:
        answer = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10)
    except OSError:
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None
