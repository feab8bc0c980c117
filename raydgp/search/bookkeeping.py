"""What every strategy remembers: what was asked, what was told, and which configurations are still to be had."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from raydgp.errors import InputError
from raydgp.search.base import Strategy
from raydgp.search.options import Options
from raydgp.search.outcome import ran
from raydgp.space import ConfigSpace, Indices

_SCANNED = 1 << 22  # spaces up to this size are enumerated when random draws find too little
_LARGEST_DRAW = 1 << 20


class BookkeepingStrategy(Strategy):
    """A strategy that keeps its books, so that a subclass only writes `propose`.

    Subclasses look at `told`, `gflops` and `best` when they are asked, instead of reacting to a tell: what they propose
    then depends on what is known, not on how it arrived. They draw with `draw` or from `rng`.

    Attributes:
        told: int64[t], configurations with an outcome, in the order of the tells and ascending within one tell.
        gflops: float64[t], their outcomes; 0 where it did not run, see `outcome.ran`.
        kept: names of the attributes of a subclass that `state` carries: arrays and what JSON knows.
    """

    kept: ClassVar[tuple[str, ...]] = ()

    def __init__(self, space: ConfigSpace, seed: int = 0, options: Options | None = None) -> None:
        super().__init__(space, seed, options)
        self.told = np.zeros(0, np.int64)
        self.gflops = np.zeros(0)
        self._visited = np.zeros(0, np.int64)  # ascending: asked or told

    @abstractmethod
    def propose(self, n: int) -> Indices:
        """Up to n distinct configurations that are `fresh`."""

    @property
    def best(self) -> tuple[int, float] | None:
        """The best configuration told so far and its GFLOPS; None while nothing has run."""
        if not self.gflops.any():
            return None
        at = int(self.gflops.argmax())
        return int(self.told[at]), float(self.gflops[at])

    @property
    def pending(self) -> Indices:
        """What was asked and not told yet, ascending."""
        return np.setdiff1d(self._visited, self.told)

    def unvisited(self, indices: Indices) -> NDArray[np.bool_]:
        """Which of int64[n] were neither asked nor told: bool[n]."""
        if not len(self._visited):
            return np.ones(len(indices), bool)
        at = np.minimum(np.searchsorted(self._visited, indices), len(self._visited) - 1)
        return self._visited[at] != indices

    def fresh(self, indices: Indices) -> NDArray[np.bool_]:
        """Which of int64[n] may be proposed, unvisited and statically valid: bool[n]."""
        free = self.unvisited(indices)
        free[free] = self.space.valid(indices[free])
        return free

    def draw(self, n: int, without: Indices | None = None) -> Indices:
        """Uniform fresh configurations without repetition, none of `without`: int64[<= n], fewer if there are fewer."""
        taken = np.zeros(0, np.int64) if without is None else without
        found, drawn, size = np.zeros(0, np.int64), 0, 4 * n + 64
        while len(found) < n and drawn < self.space.size:
            if drawn and self.space.size <= _SCANNED:
                left = np.setdiff1d(self._fresh_between(0, self.space.size), taken)
                return self.rng.permutation(left)[:n]
            drawn += size
            draw = self.rng.integers(self.space.size, size=size)
            pool = np.concatenate([found, draw[self.fresh(draw) & ~np.isin(draw, taken)]])
            _, first = np.unique(pool, return_index=True)
            found = pool[np.sort(first)]
            size = min(2 * size, _LARGEST_DRAW)
        return found[:n]

    def _fresh_between(self, start: int, stop: int) -> Indices:
        """Fresh configurations of start <= index < stop, ascending."""
        indices = np.arange(start, min(stop, self.space.size))
        return indices[self.fresh(indices)]

    # --- the interface

    def ask(self, n: int) -> Indices:
        picks = self.propose(n) if n > 0 else np.zeros(0, np.int64)
        self._visited = np.union1d(self._visited, picks)
        return picks

    def tell(
        self,
        indices: Indices,
        gflops: NDArray[np.float64],
        valid: NDArray[np.bool_],
        samples: Sequence[Sequence[float]] | None = None,
    ) -> None:
        indices, gflops = np.asarray(indices, np.int64), np.asarray(gflops, np.float64)
        self.space.digits(indices)  # refuses what is not of this space
        gflops = np.where(ran(gflops, valid), gflops, 0.0)
        order = np.lexsort((gflops, indices))  # twice in one tell: the lower outcome counts, whatever the order
        indices, first = np.unique(indices[order], return_index=True)
        gflops = gflops[order][first]
        new = ~np.isin(indices, self.told)
        self.told = np.concatenate([self.told, indices[new]])
        self.gflops = np.concatenate([self.gflops, gflops[new]])
        self._visited = np.union1d(self._visited, indices)

    def state(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in self.kept}
        return {
            "strategy": self.name,
            "space": self.space.hash,
            "rng": self.rng.bit_generator.state,
            "told": self.told.tolist(),
            "gflops": self.gflops.tolist(),
            "asked": self.pending.tolist(),
            "own": {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in own.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continues where `state` was taken.

        Raises:
            InputError: the state of another strategy or space.
        """
        if (state["strategy"], state["space"]) != (self.name, self.space.hash):
            raise InputError(f"state of {state['strategy']!r} in space {state['space']}: restore it into the same")
        self.rng.bit_generator.state = state["rng"]
        self.told = np.array(state["told"], np.int64)
        self.gflops = np.array(state["gflops"], np.float64)
        self._visited = np.union1d(self.told, np.array(state["asked"], np.int64))
        for name, value in state["own"].items():
            held = getattr(self, name)
            setattr(self, name, np.array(value, held.dtype) if isinstance(held, np.ndarray) else value)
