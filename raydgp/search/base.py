"""The search interface: ask, tell, state. Strategies do no I/O and know nothing of who measures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from raydgp.search.options import Options
from raydgp.space import ConfigSpace, Indices


class Strategy(ABC):
    """Proposes configurations of one space and learns from their outcomes.

    What every strategy keeps (`raydgp.testing.StrategyContract`):
      * `ask(n)` gives at most n configurations that `space.valid` accepts, never one that was asked or told before;
        none when it is finished;
      * asking again without telling is allowed and gives others;
      * results may be told in any order, in parts, for configurations it never asked for, and twice; what is told
        first counts, and the order within one tell changes nothing;
      * the same seed, asks and tells give the same proposals, also across `state` / `restore` at any moment;
      * its only randomness is `self.rng`.

    `BookkeepingStrategy` does all of this but the proposing.

    Args:
        space: where to search.
        seed: of this strategy's random stream.
        options: an instance of its `options_model`; the defaults without one.

    Attributes:
        name: by which `raydgp.search.create` knows it.
        options_model: its options. One with the option `artefact` is given the folder of pre-trained models.
    """

    name: ClassVar[str]
    options_model: ClassVar[type[Options]] = Options

    def __init__(self, space: ConfigSpace, seed: int = 0, options: Options | None = None) -> None:
        self.space = space
        self.rng = np.random.default_rng(seed)
        self.options = self.options_model() if options is None else options

    @property
    def start(self) -> str:
        """What it starts from, in a few words for those who watch; empty where that is nothing."""
        return ""

    @property
    def exhaustive(self) -> bool:
        """Whether it asks for every valid configuration before it ends; a local search may end before."""
        return True

    @abstractmethod
    def ask(self, n: int) -> Indices:
        """Up to n configurations to measure next: int64[<= n]."""

    @abstractmethod
    def tell(
        self,
        indices: Indices,
        gflops: NDArray[np.float64],
        valid: NDArray[np.bool_],
        samples: Sequence[Sequence[float]] | None = None,
    ) -> None:
        """Learns outcomes: int64[n], float64[n] (0 where it failed), bool[n] (False where it failed).

        Args:
            samples: GFLOPS of the single repeats of each, for strategies that weigh noise; others ignore them.
        """

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """All that `restore` needs, JSON-able."""

    @abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Continues where `state` was taken, on a strategy made with the same space and settings."""
