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
from raydgp.rivals import held
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
class SizeLatencies:
    """What a model takes at one of its sizes.

    Attributes:
        inputs: shapes that were given for its inputs, by name.
        latencies: by way to run the model; a line on what went wrong where there is none.
    """

    inputs: dict[str, tuple[int, ...]]
    latencies: dict[str, Latency | str]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: ours, and the others'."""
        rest = {name: way if isinstance(way, str) else way.to_dict() for name, way in self.latencies.items()}
        return {"latency": rest.pop("raydgp"), "others": rest}


@dataclass(frozen=True)
class Deployment:
    """A deployed model.

    Attributes:
        folder: where it is.
        manifest: what its manifest says.
        by_size: its latencies at each of its sizes.
        notes: where else it is.
        profile: its kernels, where they were asked for.
    """

    folder: Path
    manifest: dict[str, Any]
    by_size: list[SizeLatencies]
    notes: list[str] = field(default_factory=list)
    profile: Profile | None = None

    @property
    def latencies(self) -> dict[str, Latency | str]:
        """At the first size, which for most models is the only one."""
        return self.by_size[0].latencies


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
    check_rivals(rivals, target, len(settings.sizes))
    _remeasure(run, observer, tools)
    laps.lap("measuring finalists")
    observer.message(f"{settings.model}: importing ...")
    models, out = whole.imported(settings.model, settings.sizes, observer.message), out or Path("deployed") / run.name
    tuned: TunedModel | None = None
    sources = [with_inputs(settings.model, inputs, run.path, size) for size, inputs in enumerate(settings.sizes)]
    with tempfile.TemporaryDirectory(prefix="raydgp-deploy-") as drafts:
        draft, defaults = Path(drafts) / "tuned", Path(drafts) / "defaults"
        laps.lap("importing")
        observer.message(f"{settings.model}: compiling it with the default configurations, to compare with ...")
        write_model(defaults, models, run, Kernels(target, {}), exported=False)
        observer.message(f"{settings.model}: compiling it with the best ones ...")
        kernels = Kernels(target, run.choice())
        lowered, parts, manifest = write_model(draft, models, run, kernels, exported=True)
        laps.lap("compiling")
        if METASCHEDULE in rivals:
            tuned = tune_metaschedule(run, sources[0], tools.metaschedule, observer)
            laps.lap("tuning by MetaSchedule")
        by_size = []
        for size, (source, model, part) in enumerate(zip(sources, models, parts, strict=True)):
            written = (("raydgp", draft), ("defaults", defaults))
            ours: Ways = {name: ("raydgp", f"{at}#{size}", target.kind) for name, at in written}
            latencies = _latencies(ours | ways_of(rivals, run, source), runs, manifest["threads"], observer, tools)
            tolerance = max(settings.measure.tolerance, model.tolerance)
            whole.check(f"{out} is not written", latencies["raydgp"], tolerance, model, part, kernels)
            by_size.append(SizeLatencies(settings.sizes[size], latencies))
        laps.lap("timing the model")
        found = None
        if profile:
            observer.message(f"{settings.model}: timing its kernels ...")
            found = profile_of(draft, lowered, run.manifest.peak_gflops, manifest["threads"])
            manifest["profile"] = found.to_dict()
            laps.lap("timing its kernels")
        deployment = _described(draft, out, manifest, by_size, tuned, run)
        gb_s = found.gb_s if found else None
        Deployed(folder=str(out), ours=manifest["latency"], others=manifest["others"], gb_s=gb_s).save(run.path)
        deployment = replace(deployment, profile=found)
    if rivals and (note := held.note(settings.target)):
        deployment.notes.append(note)
    deployment.notes.extend(dict.fromkeys(note for model in models for note in model.notes))
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
    folder: Path, models: Sequence[Imported], run: RunFolder, kernels: Kernels, exported: bool
) -> tuple[Lowered, list[Lowered], dict[str, Any]]:
    """Compiles a model with the kernels that are chosen for it and writes its folder.

    Args:
        models: it, for each of its sizes.
        exported: whether the folder gets what TVM can use without us.

    Returns:
        The model as it was compiled, the same for each of its sizes, and the manifest of the folder.

    Raises:
        InputError: the model has other layers than the run has tuned.
    """
    source = run.settings.model
    lowered, parts = whole.lowered(source, models, kernels.target, kernels.choose)
    found = {task.workload: task for task in run.summary().tasks.values()}
    strange = [task.workload for task in lowered.tasks if task.workload not in found]
    if strange:
        raise InputError(f"{source} is not what {run.path} tuned: {strange[0]} is new; tune it again")
    if exported:
        export(folder, lowered, kernels.target, kernels.index, kernels.seconds)
    tasks = [kernels.chosen.get(task.workload.layer, found[task.workload]) for task in lowered.tasks]
    manifest = _manifest(run.manifest, "-".join(model.digest for model in models), tasks)
    whole.write(folder, source, models, lowered, kernels, manifest)
    return lowered, parts, manifest


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
    by_size: list[SizeLatencies],
    tuned: TunedModel | None,
    run: RunFolder,
) -> Deployment:
    """The deployment in its place, its latencies in the manifest of its folder."""
    manifest |= by_size[0].to_dict()
    if len(by_size) > 1:
        manifest["sizes"] = [{"inputs": size.inputs} | size.to_dict() for size in by_size]
    notes = []
    if tuned:
        manifest[METASCHEDULE] = tuned.to_dict(run.manifest.spent_s)
        notes.append(tuned.line(run.manifest.spent_s))
    folders.write_manifest(draft, manifest)
    folders.install(draft, out)
    return Deployment(out, manifest, by_size, notes)


def _register(deployment: Deployment, run: RunFolder) -> Iterator[str]:
    """The deployed folder in MLflow, latencies before and after as metrics; gives lines on where it is."""
    measured = {name: way.median_ms for name, way in deployment.latencies.items() if isinstance(way, Latency)}
    columns = ("task", "layer", "count", "default_gflops", "best_gflops", "best_latency_us")
    layers = [{key: row[key] for key in columns} for row in deployment.manifest["layers"]]
    with np.load(deployment.folder / folders.SAMPLE, allow_pickle=False) as sample:
        first = {name: sample[name] for name in sample.files if name.startswith(("input", "output"))}  # of its sizes
        made = deployed_models.register(deployment.folder, run, deployment.manifest["digest"], measured, layers, first)
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
