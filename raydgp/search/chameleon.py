"""Chameleon: reinforcement learning explores a cost model, adaptive sampling picks what is measured (ICLR 2020)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt

from raydgp.search.adaptive_sampling import representatives
from raydgp.search.annealing import Score, TopScores
from raydgp.search.bookkeeping import BookkeepingStrategy
from raydgp.search.options import Fraction
from raydgp.search.ppo import Agent, Episodes, PPOSettings
from raydgp.space import ConfigSpace, Indices
from raydgp.surrogates.boosted import BoostedTrees, Loss

_TABULATED = 1 << 16  # configurations of a space that is scored as a whole


class Chameleon(BookkeepingStrategy):
    """Plans like AutoTVM, with a PPO agent for the annealing and fewer measurements to a plan.

    The first plan is random. A later one is made when the one before is used up: the cost model is fitted to all
    outcomes, agents walk over it, and of the `plan_size` best configurations that they met and that may be asked,
    adaptive sampling measures representatives. Plans go on until the budget ends. The agent is kept from plan to plan.

    Args:
        plan_size: configurations of the first plan, and candidates of the later ones.
        episodes: random starts of a planning round.
        wave: episodes that walk side by side and are then learnt from; the public code walks one at a time.
        steps: of an episode at most; it ends before when at least `settled` of the knobs did not change.
        settled: share of the knobs.
        knee: of the adaptive sampling, how much every further `cluster_step` clusters must divide the loss.
        cluster_step: clusters that are tried: this many, twice as many, ...
        discount, gae, clip, entropy, value, learning_rate, minibatch, gradient_steps: of PPO, see `PPOSettings`;
            gradient steps for each episode.
        loss, rounds, threads: of the trees, as in AutoTVM.
    """

    name = "chameleon"
    kept: ClassVar[tuple[str, ...]] = ("plan", "started")
    presets: ClassVar = {"small": {"plan_size": 16, "cluster_step": 4, "episodes": 32}}

    def __init__(
        self,
        space: ConfigSpace,
        seed: int = 0,
        *,
        plan_size: PositiveInt = 64,
        episodes: PositiveInt = 128,
        wave: PositiveInt = 32,
        steps: PositiveInt = 500,
        settled: Fraction = 0.75,
        knee: PositiveFloat = 2.5,
        cluster_step: PositiveInt = 8,
        discount: Fraction = 0.9,
        gae: Fraction = 0.99,
        clip: Fraction = 0.2,
        entropy: float = 0.3,
        value: float = 1.0,
        learning_rate: PositiveFloat = 1e-3,
        minibatch: PositiveInt = 32,
        gradient_steps: PositiveInt = 3,
        loss: Loss = "reg",
        rounds: PositiveInt = 8000,
        threads: PositiveInt = 1,
    ) -> None:
        super().__init__(space, seed)
        self.plan_size, self.episodes, self.wave, self.steps, self.settled = plan_size, episodes, wave, steps, settled
        self.knee, self.cluster_step = knee, cluster_step
        self.loss, self.rounds, self.threads = loss, rounds, threads
        ppo = PPOSettings(discount, gae, clip, entropy, value, learning_rate, minibatch, gradient_steps)
        self.agent = Agent(len(space.knobs), self.rng, ppo)
        self.plan = np.zeros(0, np.int64)  # what is left of it
        self.started = False

    def _propose(self, n: int) -> Indices:
        self.plan = self.plan[self.unvisited(self.plan)]
        if not len(self.plan):
            self.plan = self._searched() if self.started and self.gflops.any() else self.draw(self.plan_size)
        self.started = True
        picks, self.plan = self.plan[:n], self.plan[n:]
        return picks

    def _searched(self) -> Indices:
        model = BoostedTrees(
            self.loss, self.rounds, recall_at=self.plan_size, threads=self.threads, seed=int(self.rng.integers(2**31))
        )
        model.fit(self.space.features(self.told), self.gflops)
        candidates = self._explored(self.scores_of(model))
        if not len(candidates):
            return self.draw(self.plan_size)
        return representatives(self.space, candidates, self.fresh, self.knee, self.cluster_step, self.rng)

    def scores_of(self, model: BoostedTrees) -> Score:
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
        best = TopScores(self.plan_size)
        for done in range(0, self.episodes, self.wave):
            starts = self.space.sample_valid(min(self.wave, self.episodes - done), self.rng)
            self.agent.learn(self.walked(starts, score, best), self.rng)
        return best.ranked()

    def walked(self, starts: Indices, score: Score, best: TopScores) -> Episodes:
        """One episode from each start."""
        digits = self.space.digits(starts)
        alive = np.ones(len(starts), bool)
        movable = self.space.radix > 1  # knobs of one option, as in a thinned space, never change
        met, scores = [starts], [score(starts)]
        log: list[tuple[NDArray[Any], ...]] = []
        while alive.any() and len(log) < self.steps:
            states = digits / self.space.radix
            actions = self.agent.act(states, self.rng)
            moved = np.clip(digits + actions - 1, 0, self.space.radix - 1)
            still = (moved == digits)[:, movable].sum(axis=1) >= self.settled * movable.sum()
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
