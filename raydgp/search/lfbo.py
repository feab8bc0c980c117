"""Likelihood-free Bayesian optimisation: a classifier of the best tenth in place of a model of speed (ICML 2022)."""

from __future__ import annotations

import numpy as np
from pydantic import Field, PositiveInt

from raydgp.search.bookkeeping import BookkeepingStrategy
from raydgp.search.options import Fraction, Options
from raydgp.space import ConfigSpace, Indices
from raydgp.surrogates import task_trees

_WALKED_FROM = 8  # of the best measured


class LfboOptions(Options):
    """The best tenth and the penalty are as in Helion's autotuner, the rest is ours."""

    plan: PositiveInt = Field(16, description="random configurations measured before the first classifier")
    best: Fraction = Field(0.1, description="share of the measurements that counts as good")
    drawn: PositiveInt = Field(3000, description="random candidates of each ask")
    walks: PositiveInt = Field(500, description="candidates one to three knobs away from the best, for each ask")
    alike: Fraction = Field(0.5, description="share of its chance that the twin of an earlier pick of a batch loses")


class Lfbo(BookkeepingStrategy):
    """Asks for what a classifier takes for good (Song et al., Likelihood-free Bayesian Optimization, 2022).

    A good measurement weighs as much as it exceeds the worst good one, which makes the classifier's odds an expected
    improvement; everything measured is an example of the rest, and what failed is never good.
    """

    name = "lfbo"
    options_model = LfboOptions
    options: LfboOptions

    def __init__(self, space: ConfigSpace, seed: int = 0, options: LfboOptions | None = None) -> None:
        super().__init__(space, seed, options)

    def propose(self, n: int) -> Indices:
        if len(self.told) < self.options.plan or not self.gflops.any():
            return self.draw(n)
        best = self.told[np.argsort(-self.gflops, kind="stable")[:_WALKED_FROM]]
        parts = [self.draw(self.options.drawn), self.rng.choice(best, size=self.options.walks)]
        for _ in range(3):
            parts.append(self.space.random_walk(parts[-1], self.rng))
        candidates = np.unique(np.concatenate(parts))
        candidates = candidates[self.fresh(candidates)]
        threshold = np.quantile(self.gflops, 1 - self.options.best)
        good = (self.gflops >= threshold) & (self.gflops > 0)
        excess = self.gflops[good] - threshold
        seen, new = (self.space.features(indices).astype(float) for indices in (self.told, candidates))
        weights = excess / (excess.mean() or 1.0) + 0.1  # the worst good one counts, too
        chance = task_trees.chances(seen, good, weights, new, int(self.rng.integers(2**31)))
        digits, picks = self.space.digits(candidates), list[int]()
        for _ in range(min(n, len(candidates))):
            picks.append(int(chance.argmax()))
            equal = (digits == digits[picks[-1]]).mean(axis=1)
            chance *= 1 - self.options.alike * equal**2
            chance[picks] = -1.0
        return candidates[picks]
