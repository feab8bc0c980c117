"""`dgp+`: Bayesian optimisation around a pre-trained deep GP. Ours, not the paper's; `dgp` is the paper's."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, PositiveInt

from raydgp.search.acquisition import batch
from raydgp.search.pretrained import Pretrained
from raydgp.space import ConfigSpace, Indices
from raydgp.surrogates.residual import Points, ResidualGP


class DgpPlus(Pretrained):
    """Measures the largest expected improvements under the pre-trained deep GP, corrected by an exact GP for the task.

    The correction is refitted to all outcomes before every ask; so small batches learn most. Candidates are a
    shortlist of the best predictions over a large random pool (the whole space where it is small), fresh random ones,
    and steps away from the best that was measured. A configuration's chance to run is a factor of its own: the
    pre-trained model's, if it has one, corrected by what failed. The search ends when no improvement is expected.

    Args:
        pool: random configurations that the pre-trained model ranks once.
        shortlist: the best of them stay candidates; of a space of at most `pool` all do.
        fresh_draws: random candidates added for each ask in a larger space.
        walks: candidates added one to three knobs away from the best measured ones, for each ask.
        tolerance: expected improvement, as a share of the best, below which an ask counts as hopeless; 0 never ends.
        patience: hopeless asks in a row after which the search ends.
        artefact, unseen, cold_start, device, threads: see `Pretrained`.
    """

    name = "dgp+"
    context = True
    kept: ClassVar[tuple[str, ...]] = ("shortlisted", "plan", "started", "hopeless", "judged")
    presets: ClassVar = {"small": {"pool": 10_000, "cold_start": 16}}

    def __init__(
        self,
        space: ConfigSpace,
        seed: int = 0,
        *,
        pool: PositiveInt = 40_000,
        shortlist: PositiveInt = 2000,
        fresh_draws: PositiveInt = 500,
        walks: PositiveInt = 500,
        tolerance: NonNegativeFloat = 1e-4,
        patience: PositiveInt = 3,
        **options: Any,
    ) -> None:
        super().__init__(space, seed, **options)
        self.pool, self.shortlist, self.fresh_draws, self.walks = pool, shortlist, fresh_draws, walks
        self.tolerance, self.patience = tolerance, patience
        self.shortlisted = np.zeros(0, np.int64)
        self.plan = np.zeros(0, np.int64)  # what is left of a cold start
        self.started = False
        self.hopeless = 0  # asks in a row
        self.judged = 0  # outcomes known when that was last looked at

    def _propose(self, n: int) -> Indices:
        if not self.started:
            self._start()
        self.plan = self.plan[self.unvisited(self.plan)]
        picks, self.plan = self.plan[:n], self.plan[n:]
        if len(picks):
            return picks
        if self.hopeless >= self.patience:
            return picks
        return self._improving(n)

    def _start(self) -> None:
        self.started = True
        self.shortlisted = self._sample(self.pool)
        if self._scorer is None:
            self.plan = self._cold_plan()
        if self.space.size > self.pool:
            points, runs = self._seen(self.shortlisted)
            order = np.argsort(-points.mean * runs, kind="stable")
            self.shortlisted = np.sort(self.shortlisted[order[: self.shortlist]])

    def _improving(self, n: int) -> Indices:
        candidates = self._candidates()
        if not len(candidates):
            return self.draw(n)
        scale = float(self.gflops.max(initial=0.0)) or 1.0
        told, told_runs = self._seen(self.told)
        points, runs = self._seen(candidates)
        ran = self.gflops > 0
        model = ResidualGP(told.rows(ran), self.gflops[ran] / scale)
        if not ran.all():
            failures = ResidualGP(told._replace(mean=told_runs), ran.astype(float))
            runs = np.clip(failures.posterior(points._replace(mean=runs))[0], 0.01, 1.0)
        rows, improvement = batch(model, points, runs, 1.0 if ran.any() else None, n)
        if len(self.told) > self.judged:
            self.hopeless = self.hopeless + 1 if improvement < self.tolerance and ran.any() else 0
            self.judged = len(self.told)
        return candidates[rows]

    def _candidates(self) -> Indices:
        """Unvisited and valid: int64[k], ascending."""
        parts = [self.shortlisted]
        if self.space.size > self.pool:
            parts.append(self.rng.integers(self.space.size, size=self.fresh_draws))
            if self.gflops.any():
                best = self.told[np.argsort(-self.gflops, kind="stable")[:8]]
                walks = self.rng.choice(best, size=self.walks)
                for _ in range(3):
                    walks = self.space.random_walk(walks, self.rng)
                    parts.append(walks)
        candidates = np.unique(np.concatenate(parts))
        return candidates[self.fresh(candidates)]

    def _seen(self, indices: Indices) -> tuple[Points, NDArray[np.float64]]:
        """Configurations as the models see them, and the pre-trained model's chance that they run: [k]."""
        from raydgp.surrogates.encoding import Encoding

        features = self.space.features(indices)
        if self._scorer is None:
            sample = self.space.features(self.space.sample(2000, np.random.default_rng(0)))
            encoding = Encoding.fit(self.space.feature_names, sample, np.zeros(len(sample)))
            x, n = encoding.features(features).astype(float), len(features)
            return Points(x, np.zeros((n, 0)), np.full(n, 0.5)), np.ones(n)
        with self._computing():
            moments, h = self._scorer.moments(features), self._scorer.representation(features)
        return Points(self._scorer.encoding.features(features).astype(float), h, moments.mean), moments.runs
