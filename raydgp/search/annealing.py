"""Simulated annealing over a configuration space, all chains as arrays (AutoTVM, OSDI 2018, and TVM's code)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raydgp.space import ConfigSpace, Indices

Score = Callable[[Indices], NDArray[np.float64]]
Mask = Callable[[Indices], NDArray[np.bool_]]


@dataclass(frozen=True)
class Schedule:
    """How long and how hot; AutoTVM's values.

    Attributes:
        iterations: steps at most; the temperature falls linearly over them.
        early_stop: steps without a change among the best after which it ends.
        max_explored: configurations scored at most, the starts included; None for no limit.
        hot, cold: first and last temperature, in units of the score.
    """

    iterations: int = 500
    early_stop: int = 50
    max_explored: int | None = None
    hot: float = 1.0
    cold: float = 0.0


class TopScores:
    """The n best distinct configurations seen: int64[<= n] `indices` and float64[<= n] `scores`, in no order."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.indices = np.zeros(0, np.int64)
        self.scores = np.zeros(0)

    def add(self, indices: Indices, scores: NDArray[np.float64], allowed: Mask) -> bool:
        """Takes in those of int64[m] that are allowed and good enough; tells whether anything changed.

        `allowed` is only asked about candidates that would enter.
        """
        if len(self.scores) >= self.n:
            better = scores > self.scores.min()
            indices, scores = indices[better], scores[better]
        indices, first = np.unique(indices, return_index=True)
        new = ~np.isin(indices, self.indices)
        indices, scores = indices[new], scores[first][new]
        ok = allowed(indices)
        if not ok.any():
            return False
        indices, scores = np.concatenate([self.indices, indices[ok]]), np.concatenate([self.scores, scores[ok]])
        if len(scores) > self.n:
            top = np.argpartition(-scores, self.n - 1)[: self.n]
            indices, scores = indices[top], scores[top]
        self.indices, self.scores = indices, scores
        return True

    def ranked(self) -> Indices:
        """TopScores first; equal scores by index."""
        return self.indices[np.lexsort((self.indices, -self.scores))]


def anneal(
    space: ConfigSpace,
    score: Score,
    n: int,
    starts: Indices,
    rng: np.random.Generator,
    allowed: Mask,
    schedule: Schedule = Schedule(),
) -> tuple[Indices, Indices]:
    """Looks for the n configurations of the highest score.

    A step is a random walk of every chain: one knob gets another option. It is accepted with probability
    exp(min((new - old) / (temperature + 1e-5), 1)), and never onto a configuration that is statically invalid.

    Args:
        score: int64[m] -> float64[m], higher is better; called once a step with the valid ones of the chains' moves.
        starts: int64[chains], valid configurations that the chains start from.
        allowed: int64[m] -> bool[m], which configurations may be returned, e.g. `BookkeepingStrategy.unvisited`.

    Returns:
        int64[<= n], the best allowed ones seen, best first; int64[chains], where the chains ended, to go on from.
    """
    points, best = starts.copy(), TopScores(n)
    if not len(points):
        return points, points
    scores = score(points)
    best.add(points, scores, allowed)
    explored, changed_at = len(points), 0
    for step in range(schedule.iterations):
        if step >= changed_at + schedule.early_stop:
            break
        if schedule.max_explored is not None and explored >= schedule.max_explored:
            break
        temperature = schedule.hot - (schedule.hot - schedule.cold) * step / (schedule.iterations + 1)
        moves = space.random_walk(points, rng)
        luck = rng.random(len(points))
        valid = space.valid(moves)
        if not valid.any():
            continue
        new = np.full(len(points), -np.inf)
        new[valid] = score(moves[valid])
        explored += int(valid.sum())
        accepted = luck < np.exp(np.minimum((new - scores) / (temperature + 1e-5), 1.0))
        points, scores = np.where(accepted, moves, points), np.where(accepted, new, scores)
        if best.add(moves[valid], new[valid], allowed):
            changed_at = step
    return best.ranked(), points
