"""BTED as a start: representative configurations instead of random ones (DATE 2021, Algorithm 2)."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import PositiveFloat, PositiveInt

from raydgp.search import ted
from raydgp.search.autotvm import AutoTVM
from raydgp.search.bookkeeping import BookkeepingStrategy
from raydgp.space import ConfigSpace, Indices


class StartedByTed(BookkeepingStrategy):
    """Mixin of strategies whose first plan is BTED's.

    Args:
        picks: configurations of the first plan, the paper's m.
        pool: configurations of a random pool, its M.
        batches: number of random pools, its B.
        mu: normalisation of TED.
        kernel: `rbf`, or `distance` for the paper's wording; see `ted.kernel_matrix`.
    """

    def __init__(
        self,
        space: ConfigSpace,
        seed: int = 0,
        *,
        picks: PositiveInt = 64,
        pool: PositiveInt = 500,
        batches: PositiveInt = 10,
        mu: PositiveFloat = 0.1,
        kernel: ted.Kernel = "rbf",
        **options: Any,
    ) -> None:
        super().__init__(space, seed, **options)
        self.picks, self.pool, self.batches, self.mu, self.kernel = picks, pool, batches, mu, kernel

    def _first_plan(self) -> Indices:
        return ted.bted(
            self.space,
            self.draw,
            picks=self.picks,
            pool=self.pool,
            batches=self.batches,
            mu=self.mu,
            kernel=self.kernel,
        )


class Bted(StartedByTed, AutoTVM):
    """AutoTVM whose first plan is BTED's: the paper's `BTED` row."""

    name = "bted"
    presets: ClassVar = {"small": {"picks": 16, "plan_size": 16, "epsilon": 0.125}}
