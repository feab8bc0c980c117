"""Search by what the task's own outcomes teach, for when nothing is known of it."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from raydgp.search.committee import DRY_TURNS, TURNS, picked
from raydgp.search.niches import neighbourhoods
from raydgp.search.pretrained import PretrainedOptions, PretrainedStrategy
from raydgp.space import ConfigSpace, Indices
from raydgp.surrogates import task_trees
from raydgp.surrogates.encoding import Encoding
from raydgp.surrogates.task_gp import TaskGP, normal_scores

_HOPE, _MOST_HOPE = 1.5, 4.0  # deviations above the mean that a search without a model counts on, at first and at most
_DRY = 20  # measurements without a better one that add a deviation
_DRIED_UP = 24  # measurements without a better one after which half of all picks are looks elsewhere
_BASINS = 4  # good configurations around which a search without a model steps
_TABULATED = 1 << 20  # configurations of a space whose valid ones are listed once


class UnaidedOptions(PretrainedOptions):
    """Defaults are ours, chosen on recorded spaces of GPUs."""

    cold_start: PositiveInt = Field(16, description="configurations of the first plan without a pre-trained model")
    drawn: PositiveInt = Field(3000, description="random candidates of each ask without a pre-trained model")
    walks: PositiveInt = Field(
        500, description="candidates added one to three knobs away from the best measured ones, for each ask"
    )


class Unaided(PretrainedStrategy):
    """Mixin of strategies that, without a pre-trained model, go by the ranks of the task's outcomes.

    Configurations that failed rank last. The exact GP and the trees take turns with steps around good configurations
    that lie apart and with looks elsewhere (`committee.picked`), and the longer nothing better is found, the more the
    unknown is worth and the more looks elsewhere there are.
    """

    kept: ClassVar[tuple[str, ...]] = ("turn", "logs")
    options_model = UnaidedOptions
    options: UnaidedOptions

    def __init__(self, space: ConfigSpace, seed: int = 0, options: UnaidedOptions | None = None) -> None:
        super().__init__(space, seed, options)
        self.turn = 0  # picks of the committee
        self.logs = np.zeros(0)  # parameters of the last fit

    def unaided(self, n: int) -> Indices:
        """Without a pre-trained model: by what the task's own outcomes teach."""
        if not self.gflops.any():  # nothing to learn from
            return self.draw(n)
        near = self.near()
        candidates = self._anywhere(near)
        if not len(candidates):
            return self.draw(n)
        x, told, scores = self.encoded(candidates), self.encoded(self.told), normal_scores(self.gflops)
        model = TaskGP(told, scores, self.logs if len(self.logs) == 2 * x.shape[1] + 2 else None)
        self.logs = model.logs
        model = model.supposing(self.encoded(self.pending))
        trees = task_trees.predictions(told, scores, x, int(self.rng.integers(2**31)))
        basins = [np.isin(candidates, around) for around in near]
        digits = self.space.digits(candidates)
        turns = range(self.turn, self.turn + n)
        order = DRY_TURNS if self.since_best >= _DRIED_UP else TURNS
        rows = picked(model, x, trees, basins, lambda: self._pinned(digits), turns, self._optimism(), order)
        self.turn += n
        return candidates[rows]

    def _pinned(self, digits: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of int64[k, knobs] have the options drawn for one to three knobs: bool[k]."""
        knobs = self.rng.permutation(np.flatnonzero(self.space.radix > 1))[: self.rng.integers(1, 4)]
        return np.asarray((digits[:, knobs] == self.rng.integers(self.space.radix[knobs])).all(axis=1))

    def _optimism(self) -> float:
        """Deviations above the mean: the more, the longer nothing better was found."""
        return min(_HOPE + self.since_best / _DRY, _MOST_HOPE)

    @property
    def since_best(self) -> int:
        """Measurements after the best one."""
        return len(self.told) - 1 - int(self.gflops.argmax()) if len(self.told) else 0

    def near(self) -> list[Indices]:
        """What may still be asked one knob away from each of a few good configurations that lie apart."""
        return neighbourhoods(self.space, self.told, self.gflops, self.fresh, _BASINS)

    def _anywhere(self, near: list[Indices]) -> Indices:
        """Fresh ones of the whole space, on walks from the best, and all of those near: int64[k], ascending."""
        if self.space.size <= _TABULATED:
            left = self._everything[self.unvisited(self._everything)]
            left = self.rng.choice(left, size=min(self.options.drawn, len(left)), replace=False)
        else:
            left = self.rng.integers(self.space.size, size=self.options.drawn)
        best = self.told[np.argsort(-self.gflops, kind="stable")[:8]]
        walks = [self.rng.choice(best, size=self.options.walks)]
        for _ in range(3):
            walks.append(self.space.random_walk(walks[-1], self.rng))
        candidates = np.unique(np.concatenate([left, *walks, *near]))
        return candidates[self.fresh(candidates)]

    @cached_property
    def _everything(self) -> Indices:
        everything = np.arange(self.space.size)
        return everything[self.space.valid(everything)]

    def encoded(self, indices: Indices) -> NDArray[np.float64]:
        """What the models of this task see of configurations: [k, d]."""
        return self._encoding.features(self.space.features(indices)).astype(float)

    @cached_property
    def _encoding(self) -> Encoding:
        sample = self.space.features(self.space.sample(2000, np.random.default_rng(0)))
        return Encoding.fit(self.space.feature_names, sample, np.zeros(len(sample)))
