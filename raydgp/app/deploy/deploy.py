"""A finished run made into a deployed model: the best configurations, compiled, measured as a whole, written down."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from raydgp.app import whole
from raydgp.app.deploy.finalists import remeasure_finalists
from raydgp.app.deploy.kernels import Kernels
from raydgp.app.deploy.profile import Profile, profile_of
from raydgp.app.deploy.rivals import Ways, check_rivals, tune_metaschedule, ways_of
from raydgp.app.logs import logged_to
from raydgp.app.observer import Observer, PlainObserver
from raydgp.app.tune.clock import Laps
from raydgp.errors import InputError
from raydgp.measure import Measurer
from raydgp.measure.local import LocalMeasurer
from raydgp.models import folder as folders
from raydgp.models.importing import Imported, with_inputs
from raydgp.models.interchange import export
from raydgp.models.lowering import Lowered
from raydgp.records import RunFolder, RunManifest
from raydgp.records.deployed import Deployed
from raydgp.records.summary import TaskSummary
from raydgp.rivals.latency import Latency, measure
from raydgp.rivals.metaschedule.budget import spend
from raydgp.rivals.metaschedule.model import TunedModel
from raydgp.rivals.names import METASCHEDULE
from raydgp.targets import Target
from raydgp.tracking import deployed_models

_REPEAT = 7  # timings of a finalist


@dataclass(frozen=True)
class Tools:
    """What deploying asks of this machine; tests give others.

    Attributes:
        measurer: for finalists, of a target and `MeasureSettings`.
        latencies: as `raydgp.rivals.latency.measure`.
        metaschedule: as `raydgp.rivals.metaschedule.budget.spend`.
    """

    measurer: Callable[..., Measurer] = LocalMeasurer
    latencies: Callable[..., dict[str, Latency | str]] = measure
    metaschedule: Callable[..., TunedModel] = spend


@dataclass(frozen=True)
class Deployment:
    """A deployed model.

    Attributes:
        folder: where it is.
        manifest: what its manifest says.
        latencies: by way to run the model; a line on what went wrong where there is none.
        notes: where else it is.
        profile: its kernels, where they were asked for.
    """

    folder: Path
    manifest: dict[str, Any]
    latencies: dict[str, Latency | str]
    notes: list[str] = field(default_factory=list)
    profile: Profile | None = None


def deploy_run(
    run_dir: Path,
    out: Path | None = None,
    rivals: Sequence[str] = (),
    runs: int = 600,
    observer: Observer | None = None,
    tools: Tools | None = None,
    profile: bool = False,
) -> Deployment:
    """Compiles and measures the model of a run with the best that it has found.

    The fastest configurations of each layer are measured once more before, and journalled.

    Args:
        out: the folder to write; `deployed/<run>` by default.
        rivals: of `RIVALS`, measured in turns with it. MetaSchedule first tunes for as long as the run did.
        runs: timed calls of each.
        observer: is told how it goes on; the logger `raydgp` by default.
        profile: whether its kernels are timed within it, too; the manifest tells of them.

    Raises:
        InputError: no run of a whole model, the model has changed since, an unknown rival, or what was compiled
            computes something else than the model: then nothing is written.
        JournalError: the journal cannot be written, or the run still goes on.
    """
    run, observer, tools, laps = RunFolder(run_dir), observer or PlainObserver(), tools or Tools(), Laps()
    target, settings = run.manifest.target, run.settings
    if not settings.is_imported:
        raise InputError(f"{run_dir} tuned a table of layers, not a model; tune one with `raydgp tune MODEL`")
    _check_here(run_dir, target)
    check_rivals(rivals, target)
    _remeasure(run, observer, tools)
    laps.lap("measuring finalists")
    observer.message(f"{settings.model}: importing ...")
    model, out = whole.imported(settings.model, settings.inputs, observer.message), out or Path("deployed") / run.name
    tuned: TunedModel | None = None
    source = with_inputs(settings.model, settings.inputs, run.path)
    with tempfile.TemporaryDirectory(prefix="raydgp-deploy-") as drafts:
        draft, defaults = Path(drafts) / "tuned", Path(drafts) / "defaults"
        laps.lap("importing")
        observer.message(f"{settings.model}: compiling it with the default configurations, to compare with ...")
        write_model(defaults, model, run, Kernels(target, {}), exported=False)
        observer.message(f"{settings.model}: compiling it with the best ones ...")
        kernels = Kernels(target, run.choice())
        lowered, manifest = write_model(draft, model, run, kernels, exported=True)
        ours: Ways = {
            name: ("raydgp", str(at), target.kind) for name, at in (("raydgp", draft), ("defaults", defaults))
        }
        laps.lap("compiling")
        if METASCHEDULE in rivals:
            tuned = tune_metaschedule(run, source, tools.metaschedule, observer)
            laps.lap("tuning by MetaSchedule")
        latencies = _latencies(ours | ways_of(rivals, run, source), runs, manifest["threads"], observer, tools)
        laps.lap("timing the model")
        tolerance = max(settings.measure.tolerance, model.tolerance)
        whole.check(f"{out} is not written", latencies["raydgp"], tolerance, model, lowered, kernels)
        found = None
        if profile:
            observer.message(f"{settings.model}: timing its kernels ...")
            found = profile_of(draft, lowered, run.manifest.peak_gflops, manifest["threads"])
            manifest["profile"] = found.to_dict()
            laps.lap("timing its kernels")
        deployment = _described(draft, out, manifest, latencies, tuned, run)
        gb_s = found.gb_s if found else None
        Deployed(folder=str(out), ours=manifest["latency"], others=manifest["others"], gb_s=gb_s).save(run.path)
        deployment = replace(deployment, profile=found)
    deployment.notes.extend(model.notes)
    if settings.mlflow.enabled:
        observer.message("Sending the model to MLflow ...")
        try:
            deployment.notes.extend(_register(deployment, run))
        except InputError as error:  # the figures are worth more than their registration
            deployment.notes.append(str(error))
        laps.lap("sending to MLflow")
    deployment.notes.append(str(laps))
    return deployment


def write_model(
    folder: Path, model: Imported, run: RunFolder, kernels: Kernels, exported: bool
) -> tuple[Lowered, dict[str, Any]]:
    """Compiles a model with the kernels that are chosen for it and writes its folder.

    Args:
        exported: whether the folder gets what TVM can use without us.

    Returns:
        The model as it was compiled, and the manifest of the folder.

    Raises:
        InputError: the model has other layers than the run has tuned.
    """
    source = run.settings.model
    lowered = whole.lowered(source, model, kernels.target, kernels.choose)
    found = {task.workload: task for task in run.summary().tasks.values()}
    strange = [task.workload for task in lowered.tasks if task.workload not in found]
    if strange:
        raise InputError(f"{source} is not what {run.path} tuned: {strange[0]} is new; tune it again")
    if exported:
        export(folder, lowered, kernels.target, kernels.index, kernels.seconds)
    tasks = [kernels.chosen.get(task.workload.layer, found[task.workload]) for task in lowered.tasks]
    manifest = _manifest(run.manifest, model.digest, tasks)
    whole.write(folder, source, model, lowered, kernels, manifest)
    return lowered, manifest


def _check_here(run_dir: Path, target: Target) -> None:
    """Whether a model for the target can run here.

    Raises:
        InputError: it cannot.
    """
    try:
        target.behaviour.check_here(target)
    except InputError as error:
        raise InputError(f"{run_dir} cannot be deployed here: {error}; tune it here, or deploy it there") from None


def _remeasure(run: RunFolder, observer: Observer, tools: Tools) -> None:
    """The fastest of each layer, once more."""
    threads = run.manifest.device.get("threads")
    settings = run.settings.measure.model_copy(update={"threads": threads, "repeat": _REPEAT})
    with logged_to(run.log), tools.measurer(run.manifest.target, settings) as measurer:
        name = "re-measuring each layer's finalists"
        remeasure_finalists(run, measurer, lambda done, total: observer.step(name, done, total))


def _latencies(ways: Ways, runs: int, threads: int, observer: Observer, tools: Tools) -> dict[str, Latency | str]:
    """The latency of the model by every way to run it; the way that is ours must have one."""
    done: Counter[str] = Counter()

    def called(name: str, calls: int) -> None:
        done[name] += calls
        observer.step(f"timing {name}", min(done[name], runs - 1), runs)

    try:
        return tools.latencies(ways, runs, threads, called)
    finally:
        for name in done:  # what is slow, or fails, makes fewer calls
            observer.step(f"timing {name}", runs, runs)


def _described(
    draft: Path,
    out: Path,
    manifest: dict[str, Any],
    latencies: dict[str, Latency | str],
    tuned: TunedModel | None,
    run: RunFolder,
) -> Deployment:
    """The deployment in its place, its latencies in the manifest of its folder."""
    rest = {name: latency.to_dict() if isinstance(latency, Latency) else latency for name, latency in latencies.items()}
    manifest |= {"latency": rest.pop("raydgp"), "others": rest}
    notes = []
    if tuned:
        manifest[METASCHEDULE] = tuned.to_dict(run.manifest.spent_s)
        notes.append(tuned.line(run.manifest.spent_s))
    folders.write_manifest(draft, manifest)
    folders.install(draft, out)
    return Deployment(out, manifest, latencies, notes)


def _register(deployment: Deployment, run: RunFolder) -> Iterator[str]:
    """The deployed folder in MLflow, latencies before and after as metrics; gives lines on where it is."""
    measured = {name: way.median_ms for name, way in deployment.latencies.items() if isinstance(way, Latency)}
    columns = ("task", "layer", "count", "default_gflops", "best_gflops", "best_latency_us")
    layers = [{key: row[key] for key in columns} for row in deployment.manifest["layers"]]
    with np.load(deployment.folder / folders.SAMPLE, allow_pickle=False) as sample:
        made = deployed_models.register(
            deployment.folder, run, deployment.manifest["digest"], measured, layers, dict(sample)
        )
    name = made.uri.rpartition("/")[0]
    yield f"MLflow: {made.uri}, {f'now {name}@champion' if made.is_champion else f'{name}@champion is faster'}"
    yield f"MLflow: {made.page}"


def _manifest(run: RunManifest, digest: str, tasks: Sequence[TaskSummary]) -> dict[str, Any]:
    return {
        "model": run.settings["model"],
        "digest": digest,
        "target": run.target.to_dict(),
        "device": run.device,
        "threads": run.device.get("threads", 1),  # one of the host starts a GPU's kernels
        "versions": run.versions,
        "layers": [
            {"layer": str(task.workload), "flops": task.workload.flops, **task.row(run.peak_gflops)} for task in tasks
        ],
    }
