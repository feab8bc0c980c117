"""AutoTVM's genetic algorithm over knobs (TVM's `GATuner`)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveInt

from raydgp.search.bookkeeping import BookkeepingStrategy
from raydgp.search.options import Fraction, Options
from raydgp.space import ConfigSpace, Indices

_REPAIRS = 32  # steps of a random walk for a child that was visited or is invalid, before a random one replaces it


class GeneticOptions(Options):
    """Defaults are those of TVM's GATuner."""

    presets: ClassVar = {"small": {"population": 16}}

    population: PositiveInt = Field(100, description="configurations of a generation")
    elite: NonNegativeInt = Field(3, description="best parents that stay for the next generation")
    mutation: Fraction = Field(0.1, description="probability that a knob of a child gets a random option")


class Genetic(BookkeepingStrategy):
    """Parents with probability in proportion to their GFLOPS, one-point crossover, mutation, elite kept as parents.

    A generation is bred when the one before has been asked for; its parents are the outcomes told since the last
    breeding, and the elite.
    """

    name = "genetic"
    kept: ClassVar[tuple[str, ...]] = ("queue", "elders", "bred_at")
    options_model = GeneticOptions
    options: GeneticOptions

    def __init__(self, space: ConfigSpace, seed: int = 0, options: GeneticOptions | None = None) -> None:
        super().__init__(space, seed, options)
        self.queue = np.zeros(0, np.int64)  # of the current generation, what has not been asked
        self.elders = np.zeros(0, np.int64)  # the elite of the parents before
        self.bred_at = 0  # outcomes that were told when the current generation was bred

    def propose(self, n: int) -> Indices:
        self.queue = self.queue[self.unvisited(self.queue)]
        picks = self.queue[:n]
        while len(picks) < n:
            self.queue = self._breed(picks)
            if not len(self.queue):
                break
            picks = np.concatenate([picks, self.queue[: n - len(picks)]])
        self.queue = self.queue[~np.isin(self.queue, picks)]
        return picks

    def _breed(self, pending: Indices) -> Indices:
        """The next generation: int64[<= population], none of those pending."""
        parent = np.isin(self.told, self.elders)
        parent[self.bred_at :] = True
        parents, scores = self.told[parent], self.gflops[parent]
        children = self.offspring(parents, scores) if len(parents) > 1 else np.zeros(0, np.int64)
        children = children[~np.isin(children, pending)]
        missing = self.draw(self.options.population - len(children), without=np.concatenate([children, pending]))
        self.elders = parents[np.argsort(-scores, kind="stable")[: self.options.elite]]
        self.bred_at = len(self.told)
        return np.concatenate([children, missing])

    def offspring(self, parents: Indices, scores: np.ndarray) -> Indices:
        """Distinct fresh offspring: int64[<= population]."""
        genes = self.space.digits(parents)
        count, knobs = self.options.population, genes.shape[1]
        weight = scores + 1e-8 * max(scores.max(), 1.0)
        mother, father = self.pairs(weight / weight.sum(), count)
        cut = self.rng.integers(knobs, size=(count, 1))
        child = np.where(np.arange(knobs) < cut, genes[mother], genes[father])
        mutant = self.rng.integers(self.space.radix, size=child.shape)
        child = np.where(self.rng.random(child.shape) < self.options.mutation, mutant, child)
        pool = self.space.from_digits(child)
        kept = np.zeros(0, np.int64)
        for _ in range(_REPAIRS):
            kept = np.union1d(kept, pool[self.fresh(pool)])
            pool = self.space.random_walk(pool[~np.isin(pool, kept)], self.rng)
            if len(kept) >= count or not len(pool):
                break
        return self.rng.permutation(kept)[:count]

    def pairs(self, probability: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Two different parents for each child: the two largest of Gumbel-perturbed log weights are such a draw."""
        noise = self.rng.gumbel(size=(count, len(probability)))
        pair = np.argpartition(-(np.log(probability) + noise), 1, axis=1)[:, :2]
        pair = self.rng.permuted(pair, axis=1)
        return pair[:, 0], pair[:, 1]
