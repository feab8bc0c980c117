"""Deep Gaussian transfer learning (ICCV 2021), Algorithms 1 and 2 of its appendix."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from raydgp.search.annealing import Schedule, anneal
from raydgp.search.pretrained import PretrainedOptions, PretrainedStrategy
from raydgp.space import ConfigSpace, Indices

if TYPE_CHECKING:
    from raydgp.surrogates.scorer import Scorer


class DgpOptions(PretrainedOptions):
    """Defaults are the paper's (section 5 and Algorithms 1 and 2) where it gives one."""

    presets: ClassVar = {
        "small": {
            "pool": 10_000,
            "tuning_set": 48,
            "final": 16,
            "cold_start": 24,
            "explored": 10_000,
            "epochs": 30,
            "selection_epochs": 10,
        }
    }

    pool: PositiveInt = Field(
        40_000, description="random configurations that the pre-trained model ranks, the paper's r"
    )
    tuning_set: PositiveInt = Field(300, description="the best of them are measured and tuned on, its s")
    final: PositiveInt = Field(100, description="configurations measured of each annealing, its e")
    chains: PositiveInt = Field(128, description="chains of the annealing side by side; AutoTVM's value")
    early_stop: PositiveInt = Field(
        600, description="steps without a better configuration among the best `final` after which the annealing ends"
    )
    explored: PositiveInt = Field(40_000, description="configurations that the annealing scores at most")
    temperature: PositiveFloat = Field(
        1.0,
        description="temperature of the annealing's first step, in deviations of the scores of where it starts; it "
        "falls linearly to 0",
    )
    epochs: PositiveInt = Field(2000, description="epochs of the tuning at most")
    rate: PositiveFloat = Field(0.04, description="learning rate of the tuning at its start")
    batch: PositiveInt = Field(256, description="measurements in a step of the tuning")
    form: Literal["A", "B"] = Field(
        "A",
        description="prior of the tuning: `A`, on the parameters, or `B`, on the posterior; see surrogates.transfer",
    )
    strengths: tuple[NonNegativeFloat, ...] = Field(
        (1.0, 0.0, 1e-2, 1e-1, 10.0),
        description="strengths of the prior in form A, chosen from by the rank correlation on a held-out fifth of the "
        "tuning set; later rounds keep the choice",
    )
    selection_epochs: PositiveInt = Field(
        100, description="epochs of each training that chooses a strength; at most `epochs`"
    )


class Dgp(PretrainedStrategy):
    """Measures what a pre-trained deep GP finds best, tunes it on that, then what annealing on the tuned one finds.

    The paper ends after `tuning_set` + `final` measurements. A larger budget is spent on further rounds of tuning on
    all that was measured and annealing. Without an artefact, BTED's picks take the place of the tuning set, and the
    model is fitted from scratch.

    The small preset divides 64 measurements as the paper does 400, three to one between tuning set and annealing. Even
    tuned on 48 the model ranked what was left less well than before on five of five hard layers, so that an earlier
    tuning only delays what the pre-trained model knows.
    """

    name = "dgp"
    kept: ClassVar[tuple[str, ...]] = ("plan", "rounds", "strength")
    options_model = DgpOptions
    options: DgpOptions

    def __init__(self, space: ConfigSpace, seed: int = 0, options: DgpOptions | None = None) -> None:
        super().__init__(space, seed, options)
        self.plan = np.zeros(0, np.int64)  # what is left of it
        self.rounds = 0  # plans made
        self.strength: float | None = None  # lambda, once it is chosen

    def propose(self, n: int) -> Indices:
        self.plan = self.plan[self.unvisited(self.plan)]
        if not len(self.plan):
            self.plan = self._next_plan()
            self.rounds += 1
        picks, self.plan = self.plan[:n], self.plan[n:]
        return picks

    def _next_plan(self) -> Indices:
        if self.rounds == 0:
            return self._first_plan()
        if not self.gflops.any():  # nothing to learn from
            return self.draw(self.options.final)
        plan = self._annealed(self._tuned())
        return plan if len(plan) else self.draw(self.options.final)

    def _first_plan(self) -> Indices:
        """Algorithm 2 up to its line 4: T_X, the best s of r."""
        if self.model is None:
            return self._cold_plan()
        pool = self._sample(self.options.pool)
        pool = pool[self.unvisited(pool)]
        with self._computing():
            scores = self.model.predict(self.space.features(pool))
        return pool[np.argsort(-scores, kind="stable")[: self.options.tuning_set]]

    def _computing(self) -> AbstractContextManager[None]:
        """Holds torch to the strategy's number of threads while the model computes."""
        from raydgp.surrogates.threads import limited  # torch takes seconds to load, and a cold start may need none

        return limited(self.options.threads)

    def _tuned(self) -> Scorer:
        """Algorithm 2, line 5."""
        # they load torch, see `_computing`
        from raydgp.surrogates.scorer import Shape, fitted
        from raydgp.surrogates.training import Training
        from raydgp.surrogates.transfer import Transfer

        features, valid = self.space.features(self.told), self.gflops > 0
        training = Training(epochs=self.options.epochs, rate=self.options.rate, batch=self.options.batch)
        seed = int(self.rng.integers(2**31))
        with self._computing():
            if self.model is None:
                names, labels = tuple(self.space.feature_names), self.gflops / self.gflops.max()
                return fitted(names, features, labels, valid, Shape(), training, seed, self.options.device)
            transfer = Transfer(
                form=self.options.form,
                strengths=self.options.strengths if self.strength is None else (self.strength,),
                training=training,
                selection_epochs=self.options.selection_epochs,
            )
            scorer = self.model.tuned(features, self.gflops, valid, transfer, seed)
        self.strength = scorer.strength
        return scorer

    def _annealed(self, scorer: Scorer) -> Indices:
        """Algorithm 1, line 5: the best e. A space no larger than what may be explored is ranked as a whole."""
        if self.space.size <= self.options.explored:
            left = self._sample(self.options.explored)
            left = left[self.unvisited(left)]
            with self._computing():
                return left[np.argsort(-scorer.predict(self.space.features(left)), kind="stable")[: self.options.final]]
        with self._computing():
            starts = self.space.sample_valid(self.options.chains, self.rng)
            spread = float(np.std(scorer.predict(self.space.features(starts))))
            schedule = Schedule(
                iterations=max(1, self.options.explored // self.options.chains),
                early_stop=self.options.early_stop,
                max_explored=self.options.explored,
                hot=self.options.temperature * spread,
            )
            score = lambda indices: scorer.predict(self.space.features(indices))  # noqa: E731
            return anneal(self.space, score, self.options.final, starts, self.rng, self.unvisited, schedule)[0]
