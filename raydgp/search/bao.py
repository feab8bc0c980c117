"""Bootstrap-guided adaptive optimisation (BTED + BAO, DATE 2021, Algorithms 3 and 4)."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt

from raydgp.search.ball import Ball
from raydgp.search.bted import StartedByTed, TedOptions
from raydgp.search.cost_model import CostModelOptions
from raydgp.space import ConfigSpace, Indices
from raydgp.surrogates.bootstrap import Bootstrap


class BaoOptions(TedOptions, CostModelOptions):
    """Defaults are the paper's where it gives one."""

    presets: ClassVar = {"small": {"picks": 16}}

    eta: float = Field(0.05, description="relative gain of the last step below which the radius is enlarged")
    resamples: PositiveInt = Field(2, description="bootstrap resamples, the paper's Gamma")
    tau: PositiveFloat = Field(1.5, description="factor of the enlarged radius")
    radius: PositiveFloat = Field(3.0, description="radius of the ball, in steps of a knob's option number; its R")
    centre: Literal["last", "best"] = Field(
        "last",
        description="centre of the ball: `last`, the paper's x* of the last step, or `best`, the best so far",
    )
    neighbours: PositiveInt = Field(1 << 16, description="candidates looked at; a larger ball is sampled")


class Bao(StartedByTed):
    """After BTED's picks, each step measures what a bootstrap ensemble finds best in a ball around the last step.

    A step is one ask and the outcomes told after it; with more than one configuration to a step, the step's x* and y*
    are its best one. The radius is enlarged when r_t = (y*_{t-1} - y*_{t-2}) / y*_{t-1}, equation (1) without its
    ceiling, stays below eta; r_t is 0 when y*_{t-1} is. While a ball has too few configurations that may be asked, its
    radius is doubled.
    """

    name = "bao"
    kept: ClassVar[tuple[str, ...]] = ("plan", "started", "steps", "seen")
    options_model = BaoOptions
    options: BaoOptions

    def __init__(self, space: ConfigSpace, seed: int = 0, options: BaoOptions | None = None) -> None:
        super().__init__(space, seed, options)
        self.plan = np.zeros(0, np.int64)  # what is left of BTED's picks
        self.started = False
        self.steps: list[tuple[int, float]] = []  # x* and y* of the last two steps
        self.seen = 0  # outcomes that belong to a step already

    def propose(self, n: int) -> Indices:
        if not self.started:
            self.plan, self.started = self._first_plan(), True
        left = self.plan[self.unvisited(self.plan)]
        picks, self.plan = left[:n], left[n:]
        if len(picks) == n:
            return picks
        if not self.gflops.any():  # nothing to learn from
            return np.concatenate([picks, self.draw(n - len(picks), without=picks)])
        return np.concatenate([picks, self._searched(n - len(picks), picks)])

    def _searched(self, n: int, pending: Indices) -> Indices:
        """Algorithm 3 over the ball of Algorithm 4: int64[<= n]."""
        self._take_step()
        candidates = self._candidates(n, pending)
        if not len(candidates):
            return candidates
        ensemble = Bootstrap(self.options.make_cost_model, self.options.resamples, self.rng)
        ensemble.fit(self.space.features(self.told), self.gflops)
        scores = ensemble.predict(self.space.features(candidates))
        return candidates[np.argsort(-scores, kind="stable")[:n]]

    def _take_step(self) -> None:
        """Makes the outcomes told since the last step into one; the first is all of the start."""
        news = self.gflops[self.seen :]
        if len(news):
            at = self.seen + int(news.argmax())
            self.steps = [*self.steps, (int(self.told[at]), float(self.gflops[at]))][-2:]
            self.seen = len(self.told)

    def _candidates(self, n: int, pending: Indices) -> Indices:
        """What may be asked of the ball, doubled until that is enough; fewer than n if the space has no more."""
        radius = self.options.radius
        if len(self.steps) == 2:
            (_, before), (_, last) = self.steps
            gain = (last - before) / last if last else 0.0
            radius *= self.options.tau if gain < self.options.eta else 1.0
        assert self.best is not None, "called once something has run"
        centre = self.steps[-1][0] if self.options.centre == "last" else self.best[0]
        while True:
            ball = Ball(self.space, centre, radius)
            members = ball.members(self.options.neighbours, self.rng)
            members = members[self.fresh(members) & ~np.isin(members, pending)]
            if len(members) >= n or ball.size >= self.space.size:
                return members
            radius *= 2
