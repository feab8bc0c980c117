"""Models for honest comparisons: for each recorded space, pre-trained on the others and never on its own workload."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from raydgp.app.pretraining import Plan, make, plans
from raydgp.records.recorded import RecordedSpace
from raydgp.surrogates import kinds
from raydgp.surrogates.artefact import CARD, read_card
from raydgp.surrogates.kinds import PretrainSettings
from raydgp.surrogates.sources import gather


def make_without(path: Path, paths: Sequence[Path], root: Path, epochs: int) -> Path:
    """The folder of the models for one recorded space; what was made before of the same data is kept.

    Where the others teach nothing of it there is no such folder.

    Args:
        path: the recorded space that is left out.
        paths: all recorded spaces; those of its template teach.
        root: folder of these folders.
        epochs: of the training, at most.
    """
    left_out, folder = RecordedSpace.load(path).space, root / path.stem
    others = [other for other in paths if other != path]
    tasks = [
        task
        for task in (gather(others) if others else [])
        if task.space.template == left_out.template and task.space.workload != left_out.workload
    ]
    for plan in plans(tasks):
        kind, learnt = kinds.named(plan.kind), plan.tasks[0].space.workload
        if kind.group(learnt) == kind.group(left_out.workload) and not _made(plan, folder):
            make(plan, folder, PretrainSettings(epochs=epochs), evaluate=False)
    return folder


def _made(plan: Plan, folder: Path) -> bool:
    if not (folder / plan.name / CARD).exists():
        return False
    card = read_card(folder / plan.name)
    same = card.space_hashes == [task.space.hash for task in plan.tasks]
    return same and card.records == sum(len(task.indices) for task in plan.tasks)
