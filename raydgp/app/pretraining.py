"""Pre-trains what measurements allow: a model of each kind for every group of tasks, or for every template."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from raydgp.surrogates import artefact, kinds
from raydgp.surrogates.history import History, Measured
from raydgp.surrogates.kinds import PretrainSettings
from raydgp.surrogates.pretrain import pretrain

_LEAST_RECORDS = 50  # with fewer, a model of 128 inducing inputs says nothing that the measurements do not


@dataclass(frozen=True)
class Plan:
    """A model to be made.

    Attributes:
        name: of its folder.
        tasks: what it learns from, of one target and template.
        kind: of the model, a name of `surrogates.kinds`.
    """

    name: str
    tasks: Sequence[Measured]
    kind: str


@dataclass(frozen=True)
class Artefact:
    """An artefact as written."""

    folder: Path
    card: artefact.Card


def plans(tasks: Sequence[Measured]) -> list[Plan]:
    """The models for which there are measurements enough."""
    made: list[Plan] = []
    for kind in map(kinds.named, kinds.names()):
        parts: defaultdict[str, list[Measured]] = defaultdict(list)
        for task in tasks:
            parts[kind.folder(kind.group(task.space.workload), task.space.template)].append(task)
        made += [Plan(name, part, kind.name) for name, part in sorted(parts.items())]
    return [plan for plan in made if _enough(plan.tasks)]


def make(plan: Plan, out: Path, settings: PretrainSettings, evaluate: bool = True) -> Artefact:
    """Trains a model and writes it into its folder under `out`.

    Args:
        evaluate: whether held-out figures are computed, which doubles the time.
    """
    kind, folder = kinds.named(plan.kind), out / plan.name
    devices = sorted({task.device for task in plan.tasks if task.device})
    made = pretrain(kind, History.of(plan.tasks, kind.context), settings, evaluate)
    card = artefact.Card.of(kind, [task.space for task in plan.tasks], made, devices)
    return Artefact(folder, artefact.save(folder, kind, made.model, card))


def _enough(tasks: Sequence[Measured]) -> bool:
    return sum(len(task.indices) for task in tasks) >= _LEAST_RECORDS and any(task.valid.any() for task in tasks)
