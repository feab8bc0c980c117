"""Who may use a node's processors: builds and proposals together, or runs alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class NodeLock:
    """Readers and writers without preference: each side goes on while it has work, then the other has its turn.

    That keeps the processors busy: no build is waited for by idle cores between two runs. It starves neither side,
    because every layer that searches has one batch under way, and a batch's builds end before its runs begin.

    Args:
        changed: called when `enter_alone` may succeed again.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._together = 0
        self._alone = 0
        self._open = asyncio.Event()
        self._open.set()

    @property
    def load(self) -> int:
        """Counts who is inside, a run for a thousand; builds go to the node with the least."""
        return self._together + 1000 * self._alone

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """Waits until no run is inside, then keeps runs out."""
        await self.enter_together()
        try:
            yield
        finally:
            self.leave_together()

    async def enter_together(self) -> None:
        while self._alone:
            await self._open.wait()
        self._together += 1

    def leave_together(self) -> None:
        self._together -= 1
        if not self._together:
            self._changed()

    def enter_alone(self) -> bool:
        """Keeps the others out for one more run; False while they are inside."""
        if self._together:
            return False
        self._alone += 1
        self._open.clear()
        return True

    def leave_alone(self) -> None:
        self._alone -= 1
        if not self._alone:
            self._open.set()
