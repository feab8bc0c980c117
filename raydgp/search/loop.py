"""One task's search: a budget, batches, the default configuration first, and the best so far."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from raydgp.search.base import Strategy
from raydgp.space import Indices


class _Outcome(NamedTuple):
    gflops: float
    valid: bool
    samples: list[float]


class Search:
    """Drives a strategy to the end of its budget. Pure: it measures nothing and knows no clock.

    The strategy learns batch by batch, each batch once all of its outcomes are there and in the order of the ask.
    So the search is a function of seed and outcomes: telling the records of a journal again, in whatever order they
    were written, gives the same asks.

    Args:
        strategy: proposes; must not have been asked yet, unless `restore` follows.
        trials: configurations to measure, the default one included.
        batch: configurations an ask gives at most.

    Attributes:
        best: best configuration of those asked and its GFLOPS; None while none has run.
        measured: outcomes of asked configurations that have arrived, failures included.
        failed: those of them that failed.
    """

    def __init__(self, strategy: Strategy, trials: int, batch: int) -> None:
        self.strategy = strategy
        self.trials = trials
        self.batch = batch
        self.best: tuple[int, float] | None = None
        self.measured = 0
        self.failed = 0
        self._asked = 0
        self._batches: list[list[int]] = []  # asked, not yet told to the strategy; oldest first
        self._outcomes: dict[int, _Outcome] = {}  # of those batches
        self._known: set[int] = set()  # asked or told

    @property
    def done(self) -> bool:
        """Every configuration of the budget has an outcome; a strategy may also run dry before, see `ask`."""
        return self.measured >= self.trials

    def ask(self) -> Indices:
        """The next batch: int64[<= batch]; empty when the budget is spent or the strategy has nothing left."""
        n = min(self.batch, self.trials - self._asked)
        picks = np.zeros(0, np.int64)
        if n <= 0:
            return picks
        default = np.array([self.strategy.space.default])
        if default[0] not in self._known and self.strategy.space.valid(default)[0]:
            picks = default
            self._known.add(int(default[0]))
        while len(picks) < n:
            more = self.strategy.ask(n - len(picks))
            if not len(more):
                break
            more = more[[index not in self._known for index in more.tolist()]]  # the strategy may hit on the default
            self._known.update(more.tolist())
            picks = np.concatenate([picks, more])
        self._asked += len(picks)
        if len(picks):
            self._batches.append(picks.tolist())
        return picks

    def tell(
        self,
        indices: Indices,
        gflops: NDArray[np.float64],
        valid: NDArray[np.bool_],
        samples: Sequence[Sequence[float]] | None = None,
    ) -> None:
        """Outcomes in any order and in parts: int64[n], float64[n] (0 where it failed), bool[n]; see `Strategy.tell`.

        What is told twice counts once. Outcomes of configurations that were never asked for teach the strategy, but
        count neither for the budget nor for the best.
        """
        waiting = {index for batch in self._batches for index in batch} - self._outcomes.keys()
        history: list[tuple[int, _Outcome]] = []
        for i, index in enumerate(np.asarray(indices).tolist()):
            value = float(gflops[i])
            good = bool(valid[i]) and isfinite(value) and value > 0
            outcome = _Outcome(value if good else 0.0, good, [float(x) for x in samples[i]] if samples and good else [])
            if index in waiting:
                waiting.discard(index)
                self._outcomes[index] = outcome
                self._count(index, outcome)
            elif index not in self._known:
                self._known.add(index)
                history.append((index, outcome))
        self._teach(history)
        while self._batches and all(index in self._outcomes for index in self._batches[0]):
            self._teach([(index, self._outcomes.pop(index)) for index in self._batches.pop(0)])

    def _count(self, index: int, outcome: _Outcome) -> None:
        self.measured += 1
        self.failed += not outcome.valid
        if outcome.valid and (self.best is None or outcome.gflops > self.best[1]):
            self.best = index, outcome.gflops

    def _teach(self, outcomes: list[tuple[int, _Outcome]]) -> None:
        if outcomes:
            indices = np.array([index for index, _ in outcomes], np.int64)
            gflops, valid, samples = zip(*(outcome for _, outcome in outcomes), strict=True)
            self.strategy.tell(indices, np.array(gflops), np.array(valid, bool), samples)

    def state(self) -> dict[str, Any]:
        """All that `restore` needs, JSON-able."""
        return {
            "best": self.best,
            "measured": self.measured,
            "failed": self.failed,
            "asked": self._asked,
            "batches": self._batches,
            "outcomes": [[index, *outcome] for index, outcome in self._outcomes.items()],
            "known": sorted(self._known),
            "strategy": self.strategy.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continues where `state` was taken, on a search made with the same arguments."""
        self.best = (state["best"][0], state["best"][1]) if state["best"] else None
        self.measured, self.failed, self._asked = state["measured"], state["failed"], state["asked"]
        self._batches = [list(batch) for batch in state["batches"]]
        self._outcomes = {index: _Outcome(*outcome) for index, *outcome in state["outcomes"]}
        self._known = set(state["known"])
        self.strategy.restore(state["strategy"])
