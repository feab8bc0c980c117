"""The pre-trained model of a strategy, found and loaded when it is first needed."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from raydgp.search import ted
from raydgp.search.bookkeeping import BookkeepingStrategy
from raydgp.search.options import Options
from raydgp.space import Indices
from raydgp.surrogates import artefact
from raydgp.surrogates.history import seen_by_model
from raydgp.surrogates.kinds import PretrainedKind
from raydgp.surrogates.kinds import named as kind_named


class PretrainedOptions(Options):
    """Where the model is and what it may use."""

    artefact: Path | None = Field(
        None,
        description="folder of a pre-trained model, or of several, of which the right one is taken; without a fitting "
        "one the strategy starts cold",
    )
    cold_start: PositiveInt = Field(64, description="configurations of the first plan without a pre-trained model")
    device: str = Field("cpu", description="where the model computes, `cpu` or `cuda`")
    threads: PositiveInt = Field(1, description="threads that the model computes with")


class PretrainedStrategy(BookkeepingStrategy):
    """Mixin of strategies that start from a pre-trained model, and cold, from BTED's picks, without one."""

    options_model = PretrainedOptions
    options: PretrainedOptions

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of pre-trained models that it can use, the best first."""
        return ("deepgp",)

    @cached_property
    def source(self) -> Path | None:
        """The artefact that is used; None for a cold start.

        Raises:
            ModelError: an artefact in the folder is damaged.
        """
        if self.options.artefact is None:
            return None
        found = (artefact.find(self.options.artefact, self.space, kind) for kind in self.kinds)
        return next((folder for folder in found if folder), None)

    @property
    def start(self) -> str:
        group, folder = self.space.workload.group, self.options.artefact
        if folder is None:
            return f"{group}: cold, no pre-trained model is given (raydgp pretrain makes them)"
        return f"{group}: {self.source}" if self.source else f"{group}: cold, {folder} has no model of it"

    @cached_property
    def _kind(self) -> PretrainedKind[Any]:
        """What the source is."""
        assert self.source, "asked once there is one"
        return kind_named(artefact.read_card(self.source).kind)

    @cached_property
    def model(self) -> Any:
        """The model itself, of its kind's type; None for a cold start."""
        if self.source is None:
            return None
        names = seen_by_model(self.space, np.zeros(1, np.int64), self._kind.context)[0]
        return artefact.load(self.source, self.space.template, names, self.options.device)[0]

    def _columns(self, indices: Indices) -> NDArray[np.float32]:
        """What the model sees of configurations: float32[n, d]."""
        return seen_by_model(self.space, indices, self._kind.context)[1]

    def _cold_plan(self) -> Indices:
        """BTED's picks: int64[<= cold_start]."""
        return ted.bted(self.space, self.draw, picks=self.options.cold_start)

    def _sample(self, n: int) -> Indices:
        """Up to n valid configurations to look at, visited or not; all of them where the space has no more."""
        return np.sort(self.space.sample_valid(n, self.rng))
