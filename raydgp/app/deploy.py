"""A finished run made into a deployed model: the best configurations, compiled, measured as a whole, written down."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from raydgp.app import tune
from raydgp.app.observer import Observer
from raydgp.app.tune.finalists import remeasure_finalists
from raydgp.errors import InputError
from raydgp.measure.local import LocalMeasurer
from raydgp.models import folder as folders
from raydgp.models.importing import load
from raydgp.models.interchange import export
from raydgp.models.lowering import compile_model, lower
from raydgp.records import Measurement, RunManifest
from raydgp.records.history import first
from raydgp.records.journal import scan
from raydgp.records.manifest import JOURNAL_NAME
from raydgp.records.summary import TaskSummary
from raydgp.rivals.frameworks import TORCH
from raydgp.rivals.latency import Latency, measure
from raydgp.rivals.metaschedule.budget import spend
from raydgp.rivals.metaschedule.model import TunedModel
from raydgp.settings import TuneSettings
from raydgp.targets import Target
from raydgp.templates.registry import template_for
from raydgp.templates.spaces import config_space
from raydgp.tracking import model_registry as registry
from raydgp.workloads import Fused, Workload

METASCHEDULE = "metaschedule"  # among the rivals, and the folder of the run where its tuning is kept
_REPEAT = 7  # timings of a finalist
RIVALS = ("torch", "onnxruntime", METASCHEDULE, "untuned")


@dataclass(frozen=True)
class Deployment:
    """A deployed model.

    Attributes:
        folder: where it is.
        manifest: what its manifest says.
        latencies: by way to run the model; a line on what went wrong where there is none.
        notes: where else it is.
    """

    folder: Path
    manifest: dict[str, Any]
    latencies: dict[str, Latency | str]
    notes: list[str] = field(default_factory=list)


def deploy_run(run_dir: Path, out: Path | None, rivals: Sequence[str], runs: int, observer: Observer) -> Deployment:
    """Compiles and measures the model of a run with the best that it has found.

    Args:
        out: the folder to write; `deployed/<run>` by default.
        rivals: of `RIVALS`, measured in turns with it. MetaSchedule first tunes for as long as the run did.
        runs: timed calls of each.

    Raises:
        InputError: no run of a whole model, the model has changed since, or an unknown rival.
    """
    outcome = tune.read(run_dir)
    settings = outcome.manifest.tune_settings()
    if not settings.is_imported:
        raise InputError(f"{run_dir} tuned a table of layers, not a model; tune one with `raydgp tune MODEL`")
    unknown = [rival for rival in rivals if rival not in RIVALS]
    if unknown:
        raise InputError(f"unknown rival {unknown[0]!r}; known are {', '.join(RIVALS)}")
    target = outcome.manifest.target
    _check_gpu(run_dir, target, rivals)
    found = {task.workload: task for task in outcome.summary.tasks.values()}
    fastest = _finals(run_dir, outcome, observer)
    observer.message(f"{settings.model}: importing and compiling ...")
    model = load(settings.model)
    out = out or Path("deployed") / run_dir.resolve().name

    def write(folder: Path, chosen: Mapping[Workload, TaskSummary], kept: bool) -> dict[str, Any]:
        """Compiles with the best of tasks by layer, the default's for others, and writes the folder.

        Only a folder that is kept gets what TVM can use without us.
        """

        def best(workload: Workload) -> Measurement | None:
            return chosen[workload.layer].best if workload.layer in chosen else None

        def index(workload: Workload) -> int:
            return known.index if (known := best(workload)) else config_space(workload, target).default

        def seconds(workload: Workload) -> float | None:
            return known.median_s if (known := best(workload)) else None

        def knobs(workload: Workload) -> dict[str, Any]:
            return config_space(workload, target).decode(index(workload))

        def choose(layer: Fused) -> tuple[Fused, dict[str, Any]]:
            workload = cast(Fused, chosen[layer].workload) if layer in chosen else layer
            return workload, knobs(workload)

        def scheduled(workload: Workload) -> Any:
            template = template_for(config_space(workload, target))
            return template.schedule(workload, knobs(workload), target)["main"]

        lowered = lower(model.module, target, choose)
        strange = [task.workload for task in lowered.tasks if task.workload not in found]
        if strange:
            raise InputError(f"{settings.model} is not what {run_dir} tuned: {strange[0]} is new; tune it again")
        if kept:
            export(folder, lowered, target, index, seconds)
        executable = compile_model(lowered, target, scheduled)
        tasks = [chosen.get(task.workload.layer, found[task.workload]) for task in lowered.tasks]
        manifest = _manifest(outcome.manifest, model.digest, tasks)
        folders.write(folder, executable, lowered.parameters, model.inputs, model.expected, manifest)
        return manifest

    with tempfile.TemporaryDirectory(prefix="raydgp-defaults-") as before:
        write(Path(before), {}, kept=False)
        manifest = write(out, fastest, kept=True)
        kind = target.kind
        ways = {"raydgp": ("raydgp", str(out), kind), "defaults": ("raydgp", before, kind)}
        for rival in rivals:
            names = TORCH[kind] if rival == "torch" else (rival,)
            ways |= {name: (name, settings.model, kind) for name in names}
        tuned = None
        if METASCHEDULE in rivals:
            tuned = _let_metaschedule_tune(run_dir, outcome.manifest, observer)
            ways[METASCHEDULE] = (METASCHEDULE, str(run_dir / METASCHEDULE), kind)
        done = dict.fromkeys(ways, 0)

        def called(name: str, calls: int) -> None:
            done[name] += calls
            observer.step(name, done[name], runs)

        latencies = measure(ways, runs, manifest["threads"], called)
    ours = latencies["raydgp"]
    if not isinstance(ours, Latency):
        raise InputError(f"{out} was written but does not run: {ours}")
    rest = {name: latency.to_dict() if isinstance(latency, Latency) else latency for name, latency in latencies.items()}
    manifest |= {"latency": rest.pop("raydgp"), "others": rest}
    notes = []
    if tuned:
        manifest[METASCHEDULE] = tuned.to_dict(outcome.manifest.spent_s)
        notes.append(tuned.line(outcome.manifest.spent_s))
    folders.write_manifest(out, manifest)
    shipped = Deployment(out, manifest, latencies, notes)
    if settings.mlflow.enabled:
        try:
            shipped.notes.append(f"MLflow: {_register(shipped, settings)}")
        except InputError as error:  # the figures are worth more than their registration
            shipped.notes.append(str(error))
    return shipped


def _check_gpu(run_dir: Path, target: Target, rivals: Sequence[str]) -> None:
    """What a model for a GPU needs.

    Raises:
        InputError: no GPU is here, another kind of it, or a rival that has none.
    """
    try:
        target.behaviour.check_here(target)
    except InputError as error:
        raise InputError(f"{run_dir} cannot be deployed here: {error}; tune it here, or deploy it there") from None
    if METASCHEDULE in rivals and not target.behaviour.on_processors:
        raise InputError(f"rival 'metaschedule' is compared with on CPUs only: leave it out for target {target.kind}")


def _finals(run_dir: Path, outcome: tune.Outcome, observer: Observer) -> dict[Workload, TaskSummary]:
    """The task that computes each layer fastest, its best measured once more."""
    run = outcome.manifest
    settings = run.tune_settings().measure.model_copy(update={"threads": run.device.get("threads"), "repeat": _REPEAT})
    records = first(scan(run_dir / JOURNAL_NAME).records) if (run_dir / JOURNAL_NAME).is_file() else []
    layers = outcome.summary.layers
    decided = itertools.count(1)

    def told() -> None:
        observer.step("re-measuring each layer's finalists", next(decided), len(layers))

    with LocalMeasurer(run.target, settings) as measurer:
        return remeasure_finalists(layers, records, run.target, measurer, told)


def _let_metaschedule_tune(run_dir: Path, run: RunManifest, observer: Observer) -> TunedModel:
    """Brings MetaSchedule's tuning of the run's model, kept in the run's folder, to the seconds that the run has spent.

    Not to the minutes that the run was allowed: it may have ended early, or gone over them by its last measurements.
    """
    settings, folder = run.tune_settings(), run_dir / METASCHEDULE
    seconds = f"{run.spent_s:.0f} s, as the run did"
    observer.message(f"{settings.model}: MetaSchedule may tune for {seconds}; kept in {folder}")

    def show(state: TunedModel, spent_s: float) -> None:
        scheduled = len(state.kernels) - len(state.untuned)
        detail = f"{state.trials} measured, {scheduled} of {len(state.kernels)} kernels have a schedule"
        observer.step("MetaSchedule", min(spent_s, run.spent_s), run.spent_s, detail)

    measure = settings.measure.model_copy(update={"threads": run.device["threads"]})
    return spend(folder, settings.model, run.target, measure, run.spent_s, show)


def _register(shipped: Deployment, settings: TuneSettings) -> str:
    """The deployed folder as the newest version of the model in MLflow, latencies before and after as metrics."""
    measured = {name: way for name, way in shipped.latencies.items() if isinstance(way, Latency)}
    metrics = {f"{name.replace(' ', '_')}_median_ms": way.median_ms for name, way in measured.items()}
    tags = {"model": settings.model, "digest": shipped.manifest["digest"], "device": shipped.manifest["device"]["name"]}
    layers = [
        {key: row[key] for key in ("task", "layer", "count", "default_gflops", "best_gflops", "best_latency_us")}
        for row in shipped.manifest["layers"]
    ]
    return registry.register(
        shipped.folder,
        f"raydgp-{settings.model_name}-{settings.target}",
        metrics,
        tags,
        settings.mlflow.uri,
        "champion",
        experiment=settings.experiment,
        table=layers,
    )


def _manifest(run: RunManifest, digest: str, tasks: Sequence[TaskSummary]) -> dict[str, Any]:
    return {
        "model": run.settings["model"],
        "digest": digest,
        "target": run.target.to_dict(),
        "device": run.device,
        "threads": run.device.get("threads", 1),  # one of the host starts a GPU's kernels
        "versions": run.versions,
        "layers": [
            {"layer": str(task.workload), "flops": task.workload.flops, **task.to_dict(run.peak_gflops)}
            for task in tasks
        ],
    }
