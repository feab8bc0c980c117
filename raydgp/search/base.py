"""The search interface: ask, tell, state. Strategies do no I/O and know nothing of who measures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raydgp.space import ConfigSpace, Indices


class Strategy(ABC):
    """Proposes configurations of one space and learns from their outcomes.

    What every strategy keeps (tests/contract/test_strategies.py):
      * `ask(n)` gives at most n configurations that `space.valid` accepts, never one that was asked or told before;
        none when it is finished;
      * asking again without telling is allowed and gives others;
      * results may be told in any order, in parts, for configurations it never asked for, and twice; what is told
        first counts, and the order within one tell changes nothing;
      * the same seed, asks and tells give the same proposals, also across `state` / `restore` at any moment;
      * its only randomness is `self.rng`.

    Args:
        space: where to search.
        seed: of this strategy's random stream.
    """

    name: str

    def __init__(self, space: ConfigSpace, seed: int = 0) -> None:
        self.space = space
        self.rng = np.random.default_rng(seed)

    @property
    def start(self) -> str:
        """What it starts from, in a few words for those who watch; empty where that is nothing."""
        return ""

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
        """Outcomes: int64[n], float64[n] (0 where it failed), bool[n] (False where it failed).

        Args:
            samples: GFLOPS of the single repeats of each, for strategies that weigh noise; others ignore them.
        """

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """All that `restore` needs, JSON-able."""

    @abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Continues where `state` was taken, on a strategy made with the same space and settings."""
