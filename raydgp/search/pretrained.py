"""The pre-trained deep GP of a strategy, found and loaded when it is first needed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import PositiveInt

from raydgp.search import ted
from raydgp.search.bookkeeping import BookkeepingStrategy
from raydgp.space import ConfigSpace, Indices

if TYPE_CHECKING:
    from raydgp.surrogates.scorer import Scorer


class PretrainedStrategy(BookkeepingStrategy):
    """Mixin of strategies that start from a pre-trained model, and cold, from BTED's picks, without one.

    Args:
        artefact: folder of an artefact, or of several, of which the right one is taken; without a fitting one the
            strategy starts cold.
        cold_start: configurations of the first plan without an artefact.
        device: where the model computes, `cpu` or `cuda`.
        threads: of torch.
    """

    def __init__(
        self,
        space: ConfigSpace,
        seed: int = 0,
        *,
        artefact: Path | None = None,
        cold_start: PositiveInt = 64,
        device: str = "cpu",
        threads: PositiveInt = 1,
        **options: Any,
    ) -> None:
        super().__init__(space, seed, **options)
        self.artefact, self.cold_start = artefact, cold_start
        self.device, self.threads = device, threads

    @cached_property
    def source(self) -> Path | None:
        """The artefact that is used; None for a cold start.

        Raises:
            ModelError: an artefact in the folder is damaged.
        """
        if self.artefact is None:
            return None
        from raydgp.surrogates.artefact import find  # torch takes seconds to load, and other strategies need none

        return find(self.artefact, self.space)

    @property
    def start(self) -> str:
        group = self.space.workload.group
        if self.artefact is None:
            return f"{group}: cold, no pre-trained model is given (raydgp pretrain makes them)"
        return f"{group}: {self.source}" if self.source else f"{group}: cold, {self.artefact} has no model of it"

    @cached_property
    def _scorer(self) -> Scorer | None:
        if self.source is None:
            return None
        from raydgp.surrogates.artefact import load

        return load(self.source, self.space.template, self.space.feature_names, self.device)[0]

    def _computing(self) -> AbstractContextManager[None]:
        """Around what the model computes: torch with the strategy's number of threads."""
        from raydgp.surrogates.threads import limited

        return limited(self.threads)

    def _cold_plan(self) -> Indices:
        """BTED's picks: int64[<= cold_start]."""
        return ted.bted(self.space, self.draw, picks=self.cold_start)

    def _sample(self, n: int) -> Indices:
        """Up to n valid configurations to look at, visited or not; all of them where the space has no more."""
        return np.sort(self.space.sample_valid(n, self.rng))
