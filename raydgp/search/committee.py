"""A batch that several models propose in turns, so that a task on which one of them is blind still gets on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from raydgp.surrogates.task_gp import Matrix, TaskGP, Vector

TURNS = ("process", "both", "near", "pinned", "near", "both", "trees", "pinned")
DRY_TURNS = ("process", "pinned", "near", "pinned", "both", "pinned", "trees", "pinned")


def picked(
    model: TaskGP,
    x: Matrix,
    trees: Vector,
    near: Sequence[NDArray[np.bool_]],
    pinned: Callable[[], NDArray[np.bool_]],
    turns: Sequence[int],
    optimism: float,
    order: Sequence[str] = TURNS,
) -> NDArray[np.int64]:
    """Distinct rows of k candidates, one for each turn, fewer if there are fewer.

    The process picks its largest upper confidence bound; its variance shrinks around everything that is picked, as if
    that had come out as predicted. The trees pick what they rank first, and both the largest sum of their
    standardised scores. A near turn does that one knob away from one of the good configurations, each in its turn; a
    pinned turn among those that have a few options in common, drawn at random: a good region far from all that was
    measured looks bad until someone goes there, and with the rest chosen well it is seen for what it is.

    Args:
        x: [k, d], encoded features of the candidates.
        trees: [k], their scores by the trees.
        near: for each basin which candidates lie one knob away from its centre: bool[k].
        optimism: deviations above the mean that the process counts on.
        pinned: draws which candidates a pinned turn looks at: bool[k].
        turns: numbers of the picks, counted over the whole search.
        order: who picks at which turn, over and over.
    """
    mean, variance, explained = model.posterior(x)
    free = np.ones(len(x), bool)
    picks: list[int] = []
    for turn in turns[: len(x)]:
        bound = mean + optimism * np.sqrt(variance)
        who = order[turn % len(order)]
        score = {"process": bound, "trees": trees}.get(who, _standard(bound) + _standard(trees))
        among = free
        if who == "near" and near:
            nth = order.count("near") * (turn // len(order)) + order[: turn % len(order)].count("near")
            around = free & near[nth % len(near)]
            among = around if around.any() else free
        if who == "pinned":
            held = free & pinned()
            among = held if held.any() else free
        pick = int(np.where(among, score, -np.inf).argmax())
        picks.append(pick)
        free[pick] = False
        row = model.covariance(x[pick : pick + 1], x)[0] - explained[:, pick] @ explained
        row /= np.sqrt(variance[pick] + model.noise)
        explained = np.concatenate([explained, row[None]])
        variance = np.maximum(variance - row**2, 1e-10)
    return np.array(picks, np.int64)


def _standard(scores: Vector) -> Vector:
    return (scores - scores.mean()) / (scores.std() or 1.0)
