"""A search on a recorded space by a simulated clock: so many runners, each of which takes what was recorded."""

from __future__ import annotations

import heapq
import itertools
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from raydgp.measure.base import Measurer
from raydgp.records import Measurement
from raydgp.search import Outcome, Search


@dataclass(frozen=True)
class Finished:
    """One measurement as it ended.

    Attributes:
        at_s: seconds of the simulated clock.
        thinking_s: real seconds that the search has thought until then, which the clock does not count.
    """

    measurement: Measurement
    at_s: float
    thinking_s: float


def simulate(search: Search, measurer: Measurer, runners: int) -> Iterator[Finished]:
    """Runs a search to its end, or until nobody iterates any more; gives measurements in the order in which they end.

    A runner builds and runs one configuration at a time. As soon as one is idle and nothing waits for it, the search is
    asked for its next batch, whatever is still out: so it asks in parallel when there are more runners than a batch
    has configurations left. What the search thinks stops no runner, so that the order is the same on every machine.

    Args:
        search: with `in_order=False` it learns each batch when it is complete; else those before it have to be, too.
        measurer: answers at once; the recorded seconds of building and running are what the clock goes by.
    """
    waiting: deque[Measurement] = deque()
    under_way: list[tuple[float, int, Measurement]] = []  # by when they end, and the order of their start
    numbers, now_s, thinking_s = itertools.count(), 0.0, 0.0
    while True:
        while len(under_way) < runners:
            if not waiting:
                began = time.perf_counter()
                asked = search.ask()
                thinking_s += time.perf_counter() - began
                waiting.extend(measurer.measure(search.strategy.space, asked) if len(asked) else ())
                if not waiting:
                    break
            measured = waiting.popleft()
            takes_s = measured.phases.build_s + measured.phases.run_s
            heapq.heappush(under_way, (now_s + takes_s, next(numbers), measured))
        if not under_way:
            return
        now_s, _, measured = heapq.heappop(under_way)
        yield Finished(measured, now_s, thinking_s)
        began = time.perf_counter()
        search.tell([Outcome.measured(measured, search.strategy.space.workload.flops)])
        thinking_s += time.perf_counter() - began
