"""What a page says of a run, as plain figures and texts out of its folder."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import yaml

from raydgp.records import Record, RunFolder, RunManifest
from raydgp.records.confidence import expected_line
from raydgp.records.deployed import Deployed
from raydgp.records.points import on_curve
from raydgp.records.summary import NetworkLatency, RunSummary, TaskSummary
from raydgp.reports.charts import Line, Move
from raydgp.settings import PLACES, TuneSettings
from raydgp.workloads import TracedKernel, Workload

_PHASES = {
    "propose_s": "choosing configurations",
    "learn_s": "teaching the strategy",
    "build_s": "building kernels",
    "run_s": "checking and timing them",
}
_GAIN = 1.01  # over the best before, of what counts as a gain
_MESSAGES, _CHARACTERS = 3, 240  # shown of each kind of failure, and of a message
_NOT_AGAIN = {*PLACES, "ray"}


@dataclass(frozen=True)
class LayerView:
    """A layer: the task that computes it, and how the search for it went.

    Attributes:
        text: the workload.
        share: of the tuned network's time.
        others: names of tasks of other algorithms, which were slower.
        gflops: by measurements, where it rose.
        last_gain: measurements after which nothing more than 1 % was found; 0 without a result.
    """

    task: TaskSummary
    text: str
    default_s: float
    share: float
    others: list[str]
    gflops: Line
    last_gain: int

    @property
    def speedup(self) -> float:
        """NaN unless default and best are known."""
        return self.default_s / self.task.latency_s if self.task.best and math.isfinite(self.default_s) else math.nan


@dataclass(frozen=True)
class Failures:
    """Measurements that failed in one way, and the commonest messages with how often each was."""

    kind: str
    count: int
    messages: list[tuple[str, int]]


@dataclass(frozen=True)
class RunView:
    """A run.

    Attributes:
        settings: of it.
        network: sums over its layers.
        curve: the network's latency in ms by measurements, from where each layer that gets one has a result.
        layers: those that take longest first.
        phases: what its time went to, in seconds of all workers together, the longest first; waiting is not counted.
        deployed: what was measured of the deployed model; None where there is none.
        command: the settings as YAML, of what is not a default.
    """

    name: str
    settings: TuneSettings
    manifest: RunManifest
    summary: RunSummary
    network: NetworkLatency
    curve: Line
    layers: list[LayerView]
    phases: list[tuple[str, float]]
    failures: list[Failures]
    deployed: Deployed | None
    command: str

    @classmethod
    def of(cls, run: RunFolder) -> RunView:
        """Reads a run.

        Raises:
            InputError: it is not one.
        """
        manifest, records = run.manifest, run.records()
        summary = RunSummary(manifest.tasks, records, manifest.machine)
        network = summary.network()
        phases = [(said, summary.phases_s[name]) for name, said in _PHASES.items()]
        return cls(
            name=run.name,
            settings=run.settings,
            manifest=manifest,
            summary=summary,
            network=network,
            curve=_curve(manifest, records, network, run.name),
            layers=_layers(summary, network),
            phases=sorted(phases, key=lambda phase: -phase[1]),
            failures=_failures(records),
            deployed=Deployed.load(run.path),
            command=_command(run.settings),
        )

    @property
    def started(self) -> str:
        return datetime.fromtimestamp(self.manifest.created_unix_s, UTC).strftime("%Y-%m-%d %H:%M UTC")

    @property
    def lasted_s(self) -> float | None:
        """Seconds from the first start to the end, pauses of one that was resumed among them; None before the end."""
        ended = self.manifest.finished_unix_s
        return ended - self.manifest.created_unix_s if ended else None

    @property
    def expected_line(self) -> str:
        """How many layers are likely to be near the best of their spaces; see `raydgp.records.confidence`."""
        return expected_line(self.summary)

    @property
    def moves(self) -> list[Move]:
        """Layers on the roofline: those whose operations and arrays are known without their code."""
        return [
            Move(layer.task.name, _intensity(workload), workload.flops / layer.default_s / 1e9, layer.task.gflops)
            for layer in self.layers
            if layer.task.best and not isinstance(workload := layer.task.workload, TracedKernel) and workload.flops
        ]


def _curve(manifest: RunManifest, records: Iterable[Record], network: NetworkLatency, name: str) -> Line:
    """From the first measurement on with which the sum holds all layers that it holds in the end."""
    summary, missing = RunSummary(manifest.tasks, machine=manifest.machine), len(network.unmeasured)
    xs, ys = list[float](), list[float]()
    for record in records:
        if summary.add(record) and on_curve(summary.measured):
            now = summary.network()
            if len(now.unmeasured) <= missing:
                xs.append(summary.measured)
                ys.append(1e3 * now.best_s)
    if network.best_s and summary.measured not in xs:
        xs.append(summary.measured)
        ys.append(1e3 * network.best_s)
    return Line(name, xs, ys)


def _layers(summary: RunSummary, network: NetworkLatency) -> list[LayerView]:
    found = []
    for tasks, task in zip(summary.layers, summary.chosen, strict=True):
        others = [other.name for other in tasks if other is not task and other.best]
        share = task.calls * task.latency_s / network.best_s if task.best else 0.0
        curve, last_gain = _rise(task)
        found.append(LayerView(task, str(task.workload), tasks[0].default_s, share, others, curve, last_gain))
    return sorted(found, key=lambda layer: -layer.share)


def _rise(task: TaskSummary) -> tuple[Line, int]:
    """GFLOPS where they rose, and the measurement of the last rise by more than 1 %."""
    xs, ys, last_gain, at_gain = list[float](), list[float](), 0, 0.0
    for measured, best_s in enumerate(task.best_s, 1):
        gflops = task.workload.flops / best_s / 1e9
        if gflops > (ys[-1] if ys else 0.0):
            xs.append(measured)
            ys.append(gflops)
        if gflops > _GAIN * at_gain:
            last_gain, at_gain = measured, gflops
    if xs and xs[-1] < task.measured:
        xs.append(task.measured)
        ys.append(ys[-1])
    return Line(task.name, xs, ys), last_gain


def _failures(records: Iterable[Record]) -> list[Failures]:
    messages: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for record in records:
        measured = record.measurement
        if not measured.ok:
            messages[str(measured.status)][measured.error.strip().partition("\n")[0][:_CHARACTERS]] += 1
    found = [Failures(kind, sum(said.values()), said.most_common(_MESSAGES)) for kind, said in messages.items()]
    return sorted(found, key=lambda failures: -failures.count)


def _intensity(workload: Workload) -> float:
    """Operations a byte, where each array is read or written once, in float32."""
    return workload.flops / (4 * sum(map(math.prod, (*workload.input_shapes, workload.output_shape))))


def _command(settings: TuneSettings) -> str:
    """What is not a default."""
    said = settings.model_dump(mode="json", exclude_defaults=True, exclude=_NOT_AGAIN)
    text: str = yaml.safe_dump(json.loads(json.dumps(said)), sort_keys=False, width=120)
    return text
