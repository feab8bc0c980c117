"""Pre-trains the deep GPs that measurements allow: one for each group of tasks, and one for all groups together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from raydgp.surrogates import artefact
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
        context: False, the paper's model of one group (`dgp`); True, ours of all groups of a template (`dgp+`).
    """

    name: str
    tasks: Sequence[Measured]
    context: bool


@dataclass(frozen=True)
class Made:
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
    made = [Plan(name, part, False) for name, part in sorted(groups.items())]
    made += [Plan(name, part, True) for name, part in sorted(templates.items())]
    return [plan for plan in made if _enough(plan.tasks)]


def make(plan: Plan, out: Path, training: Training, seed: int = 0, device: str = "cpu", evaluate: bool = True) -> Made:
    """Trains a model and writes it into its folder under `out`.

    Args:
        device: where it is trained, `cpu` or `cuda`.
        evaluate: whether held-out figures are computed, which doubles the time.
    """
    history = History.of(plan.tasks, plan.context)
    model = pretrain(history, Shape(), training, seed, device, evaluate)
    devices = sorted({task.device for task in plan.tasks if task.device})
    card = artefact.Card.of([task.space for task in plan.tasks], model, devices, plan.context)
    return Made(out / plan.name, artefact.save(out / plan.name, model.scorer, card))


def _enough(tasks: Sequence[Measured]) -> bool:
    return sum(len(task.indices) for task in tasks) >= _LEAST_RECORDS and any(task.valid.any() for task in tasks)
