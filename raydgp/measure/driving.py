"""A search with a measurer in this process: the one loop of asking, measuring and telling outside of Ray."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from raydgp.measure.base import Measurer
from raydgp.records import Measurement
from raydgp.search import Outcome, Search


@dataclass(frozen=True)
class Batch:
    """What was measured between two learnings.

    Attributes:
        measurements: in the order of the ask.
        thinking_s: seconds that the search has thought since its beginning, measuring not counted.
    """

    measurements: list[Measurement]
    thinking_s: float


def drive(search: Search, measurer: Measurer) -> Iterator[Batch]:
    """Measures what a search asks for to its end, batch by batch; whoever stops iterating ends it before.

    A batch is told when the next one is wanted, so that the search has not learnt the last one of an iteration that was
    stopped.
    """
    space, thinking_s = search.strategy.space, 0.0
    while True:
        began = time.perf_counter()
        asked = search.ask()
        thinking_s += time.perf_counter() - began
        if not len(asked):
            return
        measurements = measurer.measure(space, asked)
        yield Batch(measurements, thinking_s)
        began = time.perf_counter()
        search.tell([Outcome.measured(m, space.workload.flops) for m in measurements])
        thinking_s += time.perf_counter() - began
