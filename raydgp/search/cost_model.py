"""The option by which a strategy's cost model is chosen."""

from __future__ import annotations

from pydantic import Field, PositiveInt, field_validator

from raydgp import surrogates
from raydgp.search.options import Options
from raydgp.surrogates.base import CostModelSettings, Loss, Surrogate


class CostModelOptions(Options):
    """Options of strategies that fit a model to the outcomes of the search itself."""

    cost_model: str = Field("boosted_trees", description="a name of `raydgp.surrogates.names()`")
    loss: Loss = Field(
        "rank",
        description="what the cost model minimises: `rank`, pairwise, AutoTVM's up to TVM v0.12, which the papers "
        "compare with, or `reg`, the squared error, its default from v0.13",
    )
    rounds: PositiveInt = Field(8000, description="steps of a fit at most, trees for boosted_trees; AutoTVM's value")
    threads: PositiveInt = Field(1, description="threads that the cost model computes with")

    @field_validator("cost_model")
    @classmethod
    def _known(cls, name: str) -> str:
        surrogates.require(name)
        return name

    def make_cost_model(self, seed: int, recall_at: int = 64) -> Surrogate:
        """A model that has learnt nothing yet.

        Args:
            recall_at: how many of the best matter, see `CostModelSettings`.
        """
        settings = CostModelSettings(self.loss, self.rounds, recall_at, self.threads, seed)
        return surrogates.create(self.cost_model, settings)
