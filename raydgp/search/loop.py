"""One task's search: a budget, batches, the default configuration first, and the best so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from raydgp.search.base import Strategy
from raydgp.search.outcome import Outcome
from raydgp.space import Indices

_OUT_AT_FIRST = 8  # configurations that may be out before anything is known
# Of what is known, what may be out. With 64 runners and 1 in its place dgp+ needed 1.4 times the measurements of one
# runner on eight recorded spaces of GPUs, without a limit 3.4 times.
_OUT = 0.5


class Search:
    """Drives a strategy to the end of its budget. Pure: it measures nothing and knows no clock.

    The strategy learns batch by batch, each batch once all of its outcomes are there and in the order of the ask.
    So the search is a function of seed and outcomes: telling the records of a journal again, in whatever order they
    were written, gives the same asks.

    For whoever measures several batches at a time it can learn whatever has come before each ask. Then it asks for no
    batch with which more than half as many would be out as have come back, since what is chosen before the last choices
    are known is chosen worse.

    Args:
        strategy: proposes; must not have been asked yet, unless `restore` follows.
        trials: configurations to measure, the default one included.
        batch: configurations an ask gives at most.
        points: configurations to measure right after the default one; those that are statically invalid are left out.
        in_order: whether the strategy learns whole batches in their order. Where not, it learns what has come, holds
            back, and is a function of the order in which outcomes come, too.

    Raises:
        InputError: a point outside of the space.

    Attributes:
        best: best configuration of those asked and its GFLOPS; None while none has run.
        measured: outcomes of asked configurations that have arrived, failures included.
        failed: those of them that failed.
    """

    def __init__(
        self, strategy: Strategy, trials: int, batch: int, points: Sequence[int] = (), in_order: bool = True
    ) -> None:
        self.strategy = strategy
        self._in_order = in_order
        self.trials = trials
        self.batch = batch
        self.best: tuple[int, float] | None = None
        self.measured = 0
        self.failed = 0
        self._asked = 0
        self._batches: list[list[int]] = []  # asked, not yet told to the strategy; oldest first
        self._outcomes: dict[int, Outcome] = {}  # of those batches
        self._known: set[int] = set()  # asked or told
        wanted = list(dict.fromkeys(points))
        strategy.space.digits(wanted)  # refuses what is not of this space
        self._points = [p for p, valid in zip(wanted, strategy.space.valid(wanted), strict=True) if valid]

    @property
    def waits(self) -> bool:
        """Whether it asks for nothing only because enough is out for what is known."""
        if self._in_order or self._asked >= self.trials:
            return False
        return self._asked - self.measured + self.batch > max(self.batch, _OUT_AT_FIRST, _OUT * self.measured)

    @property
    def done(self) -> bool:
        """Every configuration of the budget has an outcome; a strategy may also run dry before, see `ask`."""
        return self.measured >= self.trials

    def ask(self) -> Indices:
        """A batch: int64[<= batch]; empty where the budget is spent, the strategy has nothing left or it waits."""
        n = 0 if self.waits else min(self.batch, self.trials - self._asked)
        picks = np.zeros(0, np.int64)
        if n <= 0:
            return picks
        if not self._in_order:
            self._learn()
        default = np.array([self.strategy.space.default])
        if default[0] not in self._known and self.strategy.space.valid(default)[0]:
            picks = default
            self._known.add(int(default[0]))
        while len(picks) < n:
            more = self._next(n - len(picks))
            if not len(more):
                break
            more = more[[index not in self._known for index in more.tolist()]]  # the strategy may hit on the default
            self._known.update(more.tolist())
            picks = np.concatenate([picks, more])
        self._asked += len(picks)
        if len(picks):
            self._batches.append(picks.tolist())
        return picks

    def _next(self, n: int) -> Indices:
        """Up to n points, and when there are none left up to n of the strategy's proposals: int64[<= n]."""
        points, self._points = self._points[:n], self._points[n:]
        return np.array(points, np.int64) if points else self.strategy.ask(n)

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Learns outcomes in any order and in parts.

        What is told twice counts once. Outcomes of configurations that were never asked for teach the strategy, but
        count neither for the budget nor for the best.
        """
        waiting = {index for batch in self._batches for index in batch} - self._outcomes.keys()
        history: list[Outcome] = []
        for outcome in outcomes:
            if outcome.index in waiting:
                waiting.discard(outcome.index)
                self._outcomes[outcome.index] = outcome
                self._count(outcome)
            elif outcome.index not in self._known:
                self._known.add(outcome.index)
                history.append(outcome)
        self._teach(history)
        if self._in_order:
            while self._batches and self._outcomes.keys() >= set(self._batches[0]):
                self._teach([self._outcomes.pop(index) for index in self._batches.pop(0)])

    def _learn(self) -> None:
        """Teaches all that has come, in the order in which it was asked for."""
        asked = [index for batch in self._batches for index in batch]
        self._batches = [[index for index in asked if index not in self._outcomes]]
        self._teach([self._outcomes.pop(index) for index in asked if index in self._outcomes])

    def _count(self, outcome: Outcome) -> None:
        self.measured += 1
        self.failed += not outcome.valid
        if outcome.valid and (self.best is None or outcome.gflops > self.best[1]):
            self.best = outcome.index, outcome.gflops

    def _teach(self, outcomes: Sequence[Outcome]) -> None:
        if outcomes:
            indices = np.array([outcome.index for outcome in outcomes], np.int64)
            gflops = np.array([outcome.gflops for outcome in outcomes])
            self.strategy.tell(indices, gflops, gflops > 0, [outcome.samples for outcome in outcomes])

    def state(self) -> dict[str, Any]:
        """All that `restore` needs, JSON-able."""
        return {
            "best": self.best,
            "measured": self.measured,
            "failed": self.failed,
            "asked": self._asked,
            "batches": self._batches,
            "outcomes": [[o.index, o.gflops, o.valid, list(o.samples)] for o in self._outcomes.values()],
            "known": sorted(self._known),
            "points": self._points,
            "strategy": self.strategy.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continues where `state` was taken, on a search made with the same arguments."""
        self.best = (state["best"][0], state["best"][1]) if state["best"] else None
        self.measured, self.failed, self._asked = state["measured"], state["failed"], state["asked"]
        self._batches = [list(batch) for batch in state["batches"]]
        self._outcomes = {i: Outcome.of(i, gflops, ok, samples) for i, gflops, ok, samples in state["outcomes"]}
        self._known = set(state["known"])
        # Before 0.2 the points were kept around the strategy's state.
        held = state if "points" in state else state["strategy"]
        self._points = list(held.get("points", ()))
        self.strategy.restore(state["strategy"] if held is state or "points" not in held else held["strategy"])
