"""Pre-trains what measurements allow: a deep GP for each group of tasks, and trees for all groups of a template."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from raydgp.surrogates import artefact, trees
from raydgp.surrogates.artefact import DEEPGP, TREES_OF_ALL
from raydgp.surrogates.pretrain import History, Measured, pretrain
from raydgp.surrogates.scorer import Shape
from raydgp.surrogates.training import Training

_LEAST_RECORDS = 50  # with fewer, a model of 128 inducing inputs says nothing that the measurements do not


@dataclass(frozen=True)
class Plan:
    """A model to be made.

    Attributes:
        name: of its folder.
        tasks: what it learns from, of one target and template.
        kind: `deepgp`, the paper's model of one group, or `trees` of all groups of a template, for `dgp+`.
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
    groups: defaultdict[str, list[Measured]] = defaultdict(list)
    templates: defaultdict[str, list[Measured]] = defaultdict(list)
    for task in tasks:
        groups[f"{task.space.workload.group}-{task.space.template}"].append(task)
        templates[task.space.template].append(task)
    made = [Plan(name, part, DEEPGP) for name, part in sorted(groups.items())]
    made += [Plan(name, part, TREES_OF_ALL) for name, part in sorted(templates.items())]
    return [plan for plan in made if _enough(plan.tasks)]


def make(
    plan: Plan, out: Path, training: Training, seed: int = 0, device: str = "cpu", evaluate: bool = True
) -> Artefact:
    """Trains a model and writes it into its folder under `out`.

    Args:
        training: of a deep GP.
        device: where a deep GP is trained, `cpu` or `cuda`.
        evaluate: whether held-out figures are computed, which doubles the time.
    """
    folder, spaces = out / plan.name, [task.space for task in plan.tasks]
    devices = sorted({task.device for task in plan.tasks if task.device})
    if plan.kind == TREES_OF_ALL:
        grown = trees.grow(History.of(plan.tasks, context=True), seed, evaluate=evaluate)
        return Artefact(folder, trees.save(folder, grown.trees, artefact.Card.of(spaces, grown, devices, plan.kind)))
    model = pretrain(History.of(plan.tasks), Shape(), training, seed, device, evaluate)
    return Artefact(folder, artefact.save(folder, model.scorer, artefact.Card.of(spaces, model, devices)))


def _enough(tasks: Sequence[Measured]) -> bool:
    return sum(len(task.indices) for task in tasks) >= _LEAST_RECORDS and any(task.valid.any() for task in tasks)
