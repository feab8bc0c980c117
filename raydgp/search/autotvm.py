"""AutoTVM's XGBTuner: a cost model, refitted after each plan, and simulated annealing on it (OSDI 2018)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveInt

from raydgp.search.annealing import Schedule, anneal
from raydgp.search.bookkeeping import BookkeepingStrategy
from raydgp.search.cost_model import CostModelOptions
from raydgp.search.options import Fraction
from raydgp.space import ConfigSpace, Indices


class AutoTVMOptions(CostModelOptions):
    """Defaults are those of TVM's XGBTuner and its simulated annealing."""

    presets: ClassVar = {"small": {"plan_size": 16, "epsilon": 0.125}}

    plan_size: PositiveInt = Field(
        64, description="configurations of a plan; also n of the average recall@n that stops the cost model's training"
    )
    epsilon: Fraction = Field(0.05, description="share of a plan, at its end, that is random instead")
    chains: PositiveInt = Field(128, description="annealing chains, which persist from plan to plan")
    iterations: PositiveInt = Field(500, description="steps of the annealing at most")
    early_stop: PositiveInt = Field(
        50, description="steps without a change among the best unvisited after which the annealing ends"
    )
    temperature: NonNegativeFloat = Field(
        1.0, description="temperature of the annealing's first step, in units of the score; it falls linearly to 0"
    )


class AutoTVM(BookkeepingStrategy):
    """Plans `plan_size` configurations at a time; the first plan is random, the others are found on the cost model.

    Whenever another `plan_size` outcomes have been told, the model is fitted to all of them and a new plan replaces
    the old. An ask that comes after the end of a plan and before that is answered with random configurations, as in
    AutoTVM. So with the default plan the model starts to help after 64 outcomes; `preset="small"` plans 16 at a time.
    """

    name = "autotvm"
    kept: ClassVar[tuple[str, ...]] = ("plan", "started", "chain_points", "fits")
    options_model = AutoTVMOptions
    options: AutoTVMOptions

    def __init__(self, space: ConfigSpace, seed: int = 0, options: AutoTVMOptions | None = None) -> None:
        super().__init__(space, seed, options)
        self.plan = np.zeros(0, np.int64)  # what is left of it
        self.started = False
        self.chain_points = np.zeros(0, np.int64)
        self.fits = 0

    def propose(self, n: int) -> Indices:
        if len(self.told) >= self.options.plan_size * (self.fits + 1):
            self.plan = self._searched()
            self.fits = len(self.told) // self.options.plan_size
        elif not self.started:
            self.plan = self._first_plan()
        self.started = True
        left = self.plan[self.unvisited(self.plan)]
        picks, self.plan = left[:n], left[n:]
        return np.concatenate([picks, self.draw(n - len(picks), without=picks)])

    def _first_plan(self) -> Indices:
        return self.draw(self.options.plan_size)

    def _searched(self) -> Indices:
        """A plan of the configurations that the model, fitted to all outcomes, finds best."""
        o = self.options
        model = o.make_cost_model(int(self.rng.integers(2**31)), recall_at=o.plan_size)
        model.fit(self.space.features(self.told), self.gflops)
        if not len(self.chain_points):
            self.chain_points = self.space.sample_valid(o.chains, self.rng)
        greedy = o.plan_size - int(o.epsilon * o.plan_size)
        plan, self.chain_points = anneal(
            self.space,
            lambda indices: model.predict(self.space.features(indices)),
            greedy,
            self.chain_points,
            self.rng,
            self.unvisited,
            Schedule(o.iterations, o.early_stop, hot=o.temperature),
        )
        return plan
