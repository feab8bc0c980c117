"""Deep Gaussian transfer learning (ICCV 2021), Algorithms 1 and 2 of its appendix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from raydgp.search.annealing import Schedule, anneal
from raydgp.search.pretrained import PretrainedStrategy
from raydgp.space import ConfigSpace, Indices

if TYPE_CHECKING:
    from raydgp.surrogates.scorer import Scorer


class Dgp(PretrainedStrategy):
    """Measures what a pre-trained deep GP finds best, tunes it on that, then what annealing on the tuned one finds.

    The paper ends after `tuning_set` + `final` measurements. A larger budget is spent on further rounds of tuning on
    all that was measured and annealing. Without an artefact, BTED's picks take the place of the tuning set, and the
    model is fitted from scratch.

    The small preset divides 64 measurements as the paper does 400, three to one between tuning set and annealing. Even
    tuned on 48 the model ranked what was left less well than before on five of five hard layers, so that an earlier
    tuning only delays what the pre-trained model knows.

    Args:
        pool: random configurations that the pre-trained model ranks, the paper's r.
        tuning_set: the best of them are measured and tuned on, its s.
        final: configurations measured of each annealing, its e.
        chains: of the annealing, side by side.
        early_stop: iterations without a better configuration among the best `final` after which it ends.
        explored: configurations that it scores at most.
        temperature: of its first iteration, in deviations of the scores of where it starts; falls linearly to 0.
        epochs, rate, batch: of the tuning.
        form: of the tuning's prior, `A` on the parameters or `B` on the posterior; see `surrogates.transfer`.
        strengths: of the prior in form A, chosen from by rank correlation on a held-out fifth of the tuning set; later
            rounds keep the choice.
        selection_epochs: of each training that chooses; at most `epochs`.
        artefact, cold_start, device, threads: see `PretrainedStrategy`.
    """

    name = "dgp"
    kept: ClassVar[tuple[str, ...]] = ("plan", "rounds", "strength")
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

    def __init__(
        self,
        space: ConfigSpace,
        seed: int = 0,
        *,
        pool: PositiveInt = 40_000,
        tuning_set: PositiveInt = 300,
        final: PositiveInt = 100,
        chains: PositiveInt = 128,
        early_stop: PositiveInt = 600,
        explored: PositiveInt = 40_000,
        temperature: PositiveFloat = 1.0,
        epochs: PositiveInt = 2000,
        rate: PositiveFloat = 0.04,
        batch: PositiveInt = 256,
        form: Literal["A", "B"] = "A",
        strengths: tuple[NonNegativeFloat, ...] = (1.0, 0.0, 1e-2, 1e-1, 10.0),
        selection_epochs: PositiveInt = 100,
        **options: Any,
    ) -> None:
        super().__init__(space, seed, **options)
        self.pool, self.tuning_set, self.final, self.chains = pool, tuning_set, final, chains
        self.early_stop, self.explored, self.temperature = early_stop, explored, temperature
        self.epochs, self.rate, self.batch = epochs, rate, batch
        self.form, self.strengths, self.selection_epochs = form, strengths, selection_epochs
        self.plan = np.zeros(0, np.int64)  # what is left of it
        self.rounds = 0  # plans made
        self.strength: float | None = None  # lambda, once it is chosen

    def _propose(self, n: int) -> Indices:
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
            return self.draw(self.final)
        plan = self._annealed(self._tuned())
        return plan if len(plan) else self.draw(self.final)

    def _first_plan(self) -> Indices:
        """Algorithm 2 up to its line 4: T_X, the best s of r."""
        if self._scorer is None:
            return self._cold_plan()
        pool = self._sample(self.pool)
        pool = pool[self.unvisited(pool)]
        with self._computing():
            scores = self._scorer.predict(self.space.features(pool))
        return pool[np.argsort(-scores, kind="stable")[: self.tuning_set]]

    def _tuned(self) -> Scorer:
        """Algorithm 2, line 5."""
        from raydgp.surrogates.scorer import Shape, fitted
        from raydgp.surrogates.training import Training
        from raydgp.surrogates.transfer import Transfer

        features, valid = self.space.features(self.told), self.gflops > 0
        training = Training(epochs=self.epochs, rate=self.rate, batch=self.batch)
        seed = int(self.rng.integers(2**31))
        with self._computing():
            if self._scorer is None:
                names, labels = tuple(self.space.feature_names), self.gflops / self.gflops.max()
                return fitted(names, features, labels, valid, Shape(), training, seed, self.device)[0]
            transfer = Transfer(
                form=self.form,
                strengths=self.strengths if self.strength is None else (self.strength,),
                training=training,
                selection_epochs=self.selection_epochs,
            )
            scorer = self._scorer.tuned(features, self.gflops, valid, transfer, seed)
        self.strength = scorer.strength
        return scorer

    def _annealed(self, scorer: Scorer) -> Indices:
        """Algorithm 1, line 5: the best e. A space no larger than what may be explored is ranked as a whole."""
        if self.space.size <= self.explored:
            left = self._sample(self.explored)
            left = left[self.unvisited(left)]
            with self._computing():
                return left[np.argsort(-scorer.predict(self.space.features(left)), kind="stable")[: self.final]]
        with self._computing():
            starts = self.space.sample_valid(self.chains, self.rng)
            spread = float(np.std(scorer.predict(self.space.features(starts))))
            schedule = Schedule(
                iterations=max(1, self.explored // self.chains),
                early_stop=self.early_stop,
                max_explored=self.explored,
                hot=self.temperature * spread,
            )
            score = lambda indices: scorer.predict(self.space.features(indices))  # noqa: E731
            return anneal(self.space, score, self.final, starts, self.rng, self.unvisited, schedule)[0]
