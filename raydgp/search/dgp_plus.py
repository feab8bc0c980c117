"""`dgp+`: Bayesian optimisation around pre-trained models. Ours, not the paper's; `dgp` is the paper's."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, PositiveInt

from raydgp.search.acquisition import batch
from raydgp.search.options import Fraction
from raydgp.search.pretrained import PretrainedStrategy
from raydgp.space import ConfigSpace, Indices
from raydgp.surrogates.residual import Points, ResidualGP
from raydgp.templates.columns import machine_features

if TYPE_CHECKING:
    from raydgp.surrogates.encoding import Encoding
    from raydgp.surrogates.trees import Trees


_BEST = 3  # measured configurations that the search also steps around


class DgpPlus(PretrainedStrategy):
    """Measures the largest expected improvements under what history teaches, corrected by an exact GP for the task.

    What is expected before anything is measured comes from trees over all groups of the template, which see the knobs
    and what they mean for the machine (`templates.columns`); without them from the deep GP of the task's group. On
    three of four layers that neither had seen the trees ranked the configurations better, and searching by the mean of
    both was better on two of the four. The correction is refitted to all outcomes before every ask; so small batches
    learn most.
    Candidates are a shortlist of the best predictions over a large random pool (the whole space where it is small),
    fresh random ones, and steps away from the best that was measured. A configuration's chance to run is a factor of
    its own: the deep GP's, if it has one, corrected by what failed. The search ends when no improvement is expected.

    Args:
        pool: random configurations that the pre-trained model ranks once.
        shortlist: the best of them stay candidates; of a space of at most `pool` all do.
        fresh_draws: random candidates added for each ask in a larger space.
        walks: candidates added one to three knobs away from the best measured ones, for each ask.
        near: share of a batch that is one knob away from one of the three best: where the best differs from the rest in
            a way that no model expects, such steps find it.
        tolerance: expected improvement, as a share of the best, below which an ask counts as hopeless; 0 never ends.
        patience: hopeless asks in a row after which the search ends.
        artefact, cold_start, device, threads: see `PretrainedStrategy`.
    """

    name = "dgp+"
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
        near: Fraction = 0.375,
        tolerance: NonNegativeFloat = 1e-4,
        patience: PositiveInt = 3,
        **options: Any,
    ) -> None:
        super().__init__(space, seed, **options)
        self.pool, self.shortlist, self.fresh_draws, self.walks = pool, shortlist, fresh_draws, walks
        self.near, self.tolerance, self.patience = near, tolerance, patience
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
        if self._scorer is None and self._trees is None:
            self.plan = self._cold_plan()
        if self.space.size > self.pool:
            points, runs = self._predicted(self.shortlisted)
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
        level = 1.0 if ran.any() else None
        rows, improvement = batch(model, points, runs, level, n)
        if ran.any():
            near = np.flatnonzero(self._near_the_best(candidates))
            steps, _ = batch(model, points.rows(near), runs[near], level, round(self.near * n))
            rows = _first_distinct(np.concatenate([near[steps], rows]), n)
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

    def _near_the_best(self, candidates: Indices) -> NDArray[np.bool_]:
        """Which are one knob away from one of the best measured: bool[k]."""
        digits = self.space.digits(candidates)
        best = self.space.digits(self.told[np.argsort(-self.gflops, kind="stable")[:_BEST]])
        return np.asarray(((digits[:, None] != best).sum(axis=2) == 1).any(axis=1))

    @property
    def start(self) -> str:
        return f"{self.space.workload.group}: {self._trees_folder}" if self._trees_folder else super().start

    @cached_property
    def _trees_folder(self) -> Path | None:
        if self.artefact is None:
            return None
        from raydgp.surrogates.artefact import TREES_OF_ALL, find

        return find(self.artefact, self.space, TREES_OF_ALL)

    @cached_property
    def _trees(self) -> Trees | None:
        if self._trees_folder is None:
            return None
        from raydgp.surrogates.trees import load

        return load(self._trees_folder, self.space.template, machine_features(self.space, [0])[0])

    @cached_property
    def _encoding(self) -> Encoding:
        from raydgp.surrogates.encoding import Encoding

        sample = self.space.features(self.space.sample(2000, np.random.default_rng(0)))
        return Encoding.fit(self.space.feature_names, sample, np.zeros(len(sample)))

    @cached_property
    def _kept(self) -> tuple[Points, NDArray[np.float64]]:
        """Of the shortlist, which stays as it is: predicting it anew would be most of an ask's time."""
        return self._predicted(self.shortlisted)

    def _seen(self, indices: Indices) -> tuple[Points, NDArray[np.float64]]:
        """As `_predicted`, but what is on the shortlist is looked up."""
        points, runs = self._kept
        held = np.isin(indices, self.shortlisted)
        at = np.searchsorted(self.shortlisted, indices[held])
        new, new_runs = self._predicted(indices[~held])
        order = np.argsort(np.concatenate([np.flatnonzero(held), np.flatnonzero(~held)]))
        together = Points(*(np.concatenate([old[at], other])[order] for old, other in zip(points, new, strict=True)))
        return together, np.concatenate([runs[at], new_runs])[order]

    def _predicted(self, indices: Indices) -> tuple[Points, NDArray[np.float64]]:
        """Configurations with what is expected of them, and the deep GP's chance that they run: [k]."""
        features, n = self.space.features(indices), len(indices)
        mean, runs = np.full(n, 0.5), np.ones(n)
        if self._trees is not None:
            mean = self._trees.predict(machine_features(self.space, indices)[1])
        elif self._scorer is not None:
            with self._computing():
                mean, _, runs = self._scorer.moments(features)
        return Points(self._encoding.features(features).astype(float), mean), runs

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.__dict__.pop("_kept", None)  # of another shortlist


def _first_distinct(rows: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """The first n different ones, in their order."""
    _, first = np.unique(rows, return_index=True)
    return rows[np.sort(first)][:n]
