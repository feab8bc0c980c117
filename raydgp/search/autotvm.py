"""AutoTVM's XGBTuner: a cost model, refitted after each plan, and simulated annealing on it (facts/papers.md 3.3)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import NonNegativeFloat, PositiveInt

from raydgp.search.annealing import Schedule, anneal
from raydgp.search.bookkeeping import BookkeepingStrategy
from raydgp.search.options import Fraction
from raydgp.space import ConfigSpace, Indices
from raydgp.surrogates.boosted import BoostedTrees, Loss


class AutoTVM(BookkeepingStrategy):
    """Plans `plan_size` configurations at a time; the first plan is random, the others are found on the cost model.

    Whenever another `plan_size` outcomes have been told, the model is fitted to all of them and a new plan replaces
    the old. An ask that comes after the end of a plan and before that is answered with random configurations, as in
    AutoTVM. So with the default plan the model starts to help after 64 outcomes; `preset="small"` plans 16 at a time.

    Args:
        plan_size: configurations of a plan; also n of the average recall@n that stops the training.
        epsilon: share of a plan, at its end, that is random instead.
        loss: of the trees, `rank` (AutoTVM up to v0.12, which the papers compare with) or `reg` (from v0.13).
        rounds: trees of a fit at most.
        chains: annealing chains, which persist from plan to plan.
        iterations: of the annealing.
        early_stop: iterations without a change among the best unvisited after which annealing ends.
        temperature: of the first iteration; falls linearly to 0.
        threads: of XGBoost.
    """

    name = "autotvm"
    kept: ClassVar[tuple[str, ...]] = ("plan", "started", "chain_points", "fits")
    presets: ClassVar = {"small": {"plan_size": 16, "epsilon": 0.125}}

    def __init__(
        self,
        space: ConfigSpace,
        seed: int = 0,
        *,
        plan_size: PositiveInt = 64,
        epsilon: Fraction = 0.05,
        loss: Loss = "rank",
        rounds: PositiveInt = 8000,
        chains: PositiveInt = 128,
        iterations: PositiveInt = 500,
        early_stop: PositiveInt = 50,
        temperature: NonNegativeFloat = 1.0,
        threads: PositiveInt = 1,
    ) -> None:
        super().__init__(space, seed)
        self.plan_size, self.epsilon, self.chains = plan_size, epsilon, chains
        self.loss, self.rounds, self.threads = loss, rounds, threads
        self.schedule = Schedule(iterations, early_stop, hot=temperature)
        self.plan = np.zeros(0, np.int64)  # what is left of it
        self.started = False
        self.chain_points = np.zeros(0, np.int64)
        self.fits = 0

    def _propose(self, n: int) -> Indices:
        if len(self.told) >= self.plan_size * (self.fits + 1):
            self.plan = self._searched()
            self.fits = len(self.told) // self.plan_size
        elif not self.started:
            self.plan = self._first_plan()
        self.started = True
        left = self.plan[self.unvisited(self.plan)]
        picks, self.plan = left[:n], left[n:]
        return np.concatenate([picks, self.draw(n - len(picks), without=picks)])

    def _first_plan(self) -> Indices:
        return self.draw(self.plan_size)

    def _searched(self) -> Indices:
        """A plan of the configurations that the model, fitted to all outcomes, finds best."""
        model = BoostedTrees(
            self.loss, self.rounds, recall_at=self.plan_size, threads=self.threads, seed=int(self.rng.integers(2**31))
        )
        model.fit(self.space.features(self.told), self.gflops)
        if not len(self.chain_points):
            self.chain_points = self.space.sample_valid(self.chains, self.rng)
        greedy = self.plan_size - int(self.epsilon * self.plan_size)
        plan, self.chain_points = anneal(
            self.space,
            lambda indices: model.predict(self.space.features(indices)),
            greedy,
            self.chain_points,
            self.rng,
            self.unvisited,
            self.schedule,
        )
        return plan
