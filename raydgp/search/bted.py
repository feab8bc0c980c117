"""BTED as a start: representative configurations instead of random ones (DATE 2021, Algorithm 2)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, PositiveFloat, PositiveInt

from raydgp.search import ted
from raydgp.search.autotvm import AutoTVM, AutoTVMOptions
from raydgp.search.bookkeeping import BookkeepingStrategy
from raydgp.search.options import Options
from raydgp.space import Indices


class TedOptions(Options):
    """Options of the first plan; defaults are the paper's (Algorithm 2)."""

    picks: PositiveInt = Field(64, description="configurations of the first plan, the paper's m")
    pool: PositiveInt = Field(500, description="configurations of a random pool, its M")
    batches: PositiveInt = Field(10, description="number of random pools, its B")
    mu: PositiveFloat = Field(0.1, description="normalisation of TED, its mu")
    kernel: ted.Kernel = Field(
        "rbf", description="`rbf`, or `distance` for the paper's wording, whose Euclidean distances are no kernel"
    )


class StartedByTed(BookkeepingStrategy):
    """Mixin of strategies whose first plan is BTED's."""

    options_model = TedOptions
    options: TedOptions

    def _first_plan(self) -> Indices:
        o = self.options
        return ted.bted(self.space, self.draw, picks=o.picks, pool=o.pool, batches=o.batches, mu=o.mu, kernel=o.kernel)


class BtedOptions(TedOptions, AutoTVMOptions):
    """Options of BTED's first plan and of AutoTVM."""

    presets: ClassVar = {"small": {"picks": 16, "plan_size": 16, "epsilon": 0.125}}


class Bted(StartedByTed, AutoTVM):
    """AutoTVM whose first plan is BTED's: the paper's `BTED` row."""

    name = "bted"
    options_model = BtedOptions
    options: BtedOptions
