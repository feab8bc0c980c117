"""A finished run made into a deployed model: the best configurations, compiled, measured as a whole, written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from raydgp import tune
from raydgp.deploy import folder as folders
from raydgp.deploy.contender import TORCH
from raydgp.deploy.importing import load
from raydgp.deploy.interchange import export
from raydgp.deploy.latency import Latency, measure
from raydgp.deploy.lowering import compile_model, lower
from raydgp.errors import InputError
from raydgp.kernels.registry import template_for
from raydgp.records import RunManifest
from raydgp.space import config_space
from raydgp.study.summary import TaskSummary
from raydgp.workloads import Workload

RIVALS = ("torch", "onnxruntime", "untuned")


@dataclass(frozen=True)
class Shipped:
    """A deployed model.

    Attributes:
        folder: where it is.
        manifest: what its manifest says.
        latencies: by way to run the model; a line on what went wrong where there is none.
    """

    folder: Path
    manifest: dict[str, Any]
    latencies: dict[str, Latency | str]


def ship(run_dir: Path, out: Path | None, rivals: Sequence[str], runs: int, console: Console) -> Shipped:
    """Compiles and measures the model of a run with the best that it has found.

    Args:
        out: the folder to write; `deployed/<run>` by default.
        rivals: of `RIVALS`, measured in turns with it.
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
    found = {task.workload: task for task in outcome.summary.tasks.values()}

    def index(workload: Workload) -> int:
        best = found[workload].best if workload in found else None
        return best.index if best else config_space(workload, settings.target).default

    def seconds(workload: Workload) -> float | None:
        best = found[workload].best
        return best.median_s if best else None

    def knobs(workload: Workload) -> dict[str, Any]:
        return config_space(workload, settings.target).decode(index(workload))

    console.print(f"{settings.model}: importing and compiling ...")
    model, target = load(settings.model), outcome.manifest.target
    lowered = lower(model.module, target, knobs)
    strange = [task for task in lowered.tasks if task.workload not in found]
    if strange:
        raise InputError(f"{settings.model} is not what {run_dir} tuned: {strange[0].workload} is new; tune it again")

    def scheduled(workload: Workload) -> Any:
        template = template_for(config_space(workload, settings.target))
        return template.schedule(workload, knobs(workload), target)["main"]

    out = out or Path("deployed") / run_dir.resolve().name
    export(out, lowered, target, index, seconds)
    executable = compile_model(lowered, target, scheduled)
    manifest = _manifest(outcome.manifest, model.digest, [found[task.workload] for task in lowered.tasks])
    folders.write(out, executable, lowered.parameters, model.inputs, model.expected, manifest)
    ways = {"raydgp": ("raydgp", str(out))}
    for rival in rivals:
        names = TORCH if rival == "torch" else (rival,)
        ways |= {name: (name, settings.model) for name in names}
    with Progress(console=console, transient=True) as progress:
        bars = {name: progress.add_task(name, total=None) for name in ways}
        latencies = measure(ways, runs, manifest["threads"], lambda name, calls: progress.advance(bars[name], calls))
    ours = latencies["raydgp"]
    if not isinstance(ours, Latency):
        raise InputError(f"{out} was written but does not run: {ours}")
    rest = {name: latency.to_dict() if isinstance(latency, Latency) else latency for name, latency in latencies.items()}
    manifest |= {"latency": rest.pop("raydgp"), "rivals": rest}
    folders.write_manifest(out, manifest)
    return Shipped(out, manifest, latencies)


def _manifest(run: RunManifest, digest: str, tasks: Sequence[TaskSummary]) -> dict[str, Any]:
    return {
        "model": run.settings["model"],
        "digest": digest,
        "target": run.target,
        "device": run.device,
        "threads": run.device["threads"],
        "versions": run.versions,
        "layers": [
            {"layer": str(task.workload), "flops": task.workload.flops, **task.to_dict(run.peak_gflops)}
            for task in tasks
        ],
    }
