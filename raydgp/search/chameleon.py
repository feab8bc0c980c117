"""Chameleon: reinforcement learning explores a cost model, adaptive sampling picks what is measured (ICLR 2020)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt

from raydgp.search.adaptive_sampling import representatives
from raydgp.search.annealing import Score, TopScores
from raydgp.search.bookkeeping import BookkeepingStrategy
from raydgp.search.cost_model import CostModelOptions
from raydgp.search.options import Fraction
from raydgp.search.ppo import Agent, Episodes, PPOSettings
from raydgp.space import ConfigSpace, Indices
from raydgp.surrogates.base import Loss, Surrogate

_TABULATED = 1 << 16  # configurations of a space that is scored as a whole


class ChameleonOptions(CostModelOptions):
    """Defaults are those of the paper's public code."""

    presets: ClassVar = {"small": {"plan_size": 16, "cluster_step": 4, "episodes": 32}}

    plan_size: PositiveInt = Field(64, description="configurations of the first plan, and candidates of the later ones")
    episodes: PositiveInt = Field(128, description="random starts of a planning round")
    wave: PositiveInt = Field(
        32, description="episodes that walk side by side and are then learnt from; the public code walks one at a time"
    )
    steps: PositiveInt = Field(500, description="steps of an episode at most")
    settled: Fraction = Field(0.75, description="an episode ends when at least this share of the knobs did not change")
    knee: PositiveFloat = Field(
        2.5, description="adaptive sampling: every further `cluster_step` clusters must divide the loss by this"
    )
    cluster_step: PositiveInt = Field(8, description="clusters that are tried: this many, twice as many, ...")
    discount: Fraction = Field(0.9, description="PPO's gamma")
    gae: Fraction = Field(0.99, description="lambda of PPO's generalised advantage estimates")
    clip: Fraction = Field(0.2, description="PPO's clip of the probability ratio; .3 in the paper")
    entropy: float = Field(0.3, description="weight of the policy's entropy; .1 in the paper")
    value: float = Field(1.0, description="weight of the value network's error")
    learning_rate: PositiveFloat = Field(1e-3, description="Adam's, of both networks")
    minibatch: PositiveInt = Field(32, description="steps of the walks in a gradient step")
    gradient_steps: PositiveInt = Field(3, description="gradient steps for each episode")
    loss: Loss = Field(
        "reg", description="what the cost model minimises: `reg`, the squared error, or `rank`, pairwise"
    )


class Chameleon(BookkeepingStrategy):
    """Plans like AutoTVM, with a PPO agent for the annealing and fewer measurements to a plan.

    The first plan is random. A later one is made when the one before is used up: the cost model is fitted to all
    outcomes, agents walk over it, and of the `plan_size` best configurations that they met and that may be asked,
    adaptive sampling measures representatives. Plans go on until the budget ends. The agent is kept from plan to plan.
    """

    name = "chameleon"
    kept: ClassVar[tuple[str, ...]] = ("plan", "started")
    options_model = ChameleonOptions
    options: ChameleonOptions

    def __init__(self, space: ConfigSpace, seed: int = 0, options: ChameleonOptions | None = None) -> None:
        super().__init__(space, seed, options)
        o = self.options
        ppo = PPOSettings(o.discount, o.gae, o.clip, o.entropy, o.value, o.learning_rate, o.minibatch, o.gradient_steps)
        self.agent = Agent(len(space.knobs), self.rng, ppo)
        self.plan = np.zeros(0, np.int64)  # what is left of it
        self.started = False

    def propose(self, n: int) -> Indices:
        self.plan = self.plan[self.unvisited(self.plan)]
        if not len(self.plan):
            self.plan = self._searched() if self.started and self.gflops.any() else self.draw(self.options.plan_size)
        self.started = True
        picks, self.plan = self.plan[:n], self.plan[n:]
        return picks

    def _searched(self) -> Indices:
        o = self.options
        model = o.make_cost_model(int(self.rng.integers(2**31)), recall_at=o.plan_size)
        model.fit(self.space.features(self.told), self.gflops)
        candidates = self._explored(self.scores_of(model))
        if not len(candidates):
            return self.draw(self.options.plan_size)
        return representatives(self.space, candidates, self.fresh, o.knee, o.cluster_step, self.rng)

    def scores_of(self, model: Surrogate) -> Score:
        """The cost model's score, 0 where a configuration is statically invalid, what a failure counts.

        Of a small space every score at once, since walks ask for few at a time, again and again.
        """

        def score(indices: Indices) -> NDArray[np.float64]:
            scores, valid = np.zeros(len(indices)), self.space.valid(indices)
            if valid.any():
                scores[valid] = model.predict(self.space.features(indices[valid]))
            return scores

        if self.space.size > _TABULATED:
            return score
        table = score(np.arange(self.space.size))
        return lambda indices: table[indices]

    def _explored(self, score: Score) -> Indices:
        """The `plan_size` best configurations that the agents meet and that may be asked, best first."""
        o, best = self.options, TopScores(self.options.plan_size)
        for done in range(0, o.episodes, o.wave):
            starts = self.space.sample_valid(min(o.wave, o.episodes - done), self.rng)
            self.agent.learn(self.walked(starts, score, best), self.rng)
        return best.ranked()

    def walked(self, starts: Indices, score: Score, best: TopScores) -> Episodes:
        """One episode from each start."""
        digits = self.space.digits(starts)
        alive = np.ones(len(starts), bool)
        movable = self.space.radix > 1  # knobs of one option, as in a thinned space, never change
        met, scores = [starts], [score(starts)]
        log: list[tuple[NDArray[Any], ...]] = []
        while alive.any() and len(log) < self.options.steps:
            states = digits / self.space.radix
            actions = self.agent.act(states, self.rng)
            moved = np.clip(digits + actions - 1, 0, self.space.radix - 1)
            still = (moved == digits)[:, movable].sum(axis=1) >= self.options.settled * movable.sum()
            digits = np.where(alive[:, None], moved, digits)
            rewards = np.zeros(len(starts))
            indices = self.space.from_digits(digits)
            rewards[alive] = score(indices[alive])
            met.append(indices[alive])
            scores.append(rewards[alive])
            log.append((states, actions, rewards, alive))
            alive = alive & ~still
        best.add(np.concatenate(met), np.concatenate(scores), self.fresh)
        return Episodes(*(np.stack(column) for column in zip(*log, strict=True)))

    def state(self) -> dict[str, Any]:
        agent = {
            "weights": self.agent.weights.tolist(),
            "moments": self.agent.moments.tolist(),
            "updates": self.agent.updates,
        }
        return super().state() | {"agent": agent}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.agent.weights[:] = state["agent"]["weights"]
        self.agent.moments[:] = state["agent"]["moments"]
        self.agent.updates = state["agent"]["updates"]
