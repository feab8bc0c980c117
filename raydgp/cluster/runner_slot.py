"""One place for a runner: its actor, replaced whenever it is lost, and the calls it has in flight."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError

from raydgp.cluster.node_lock import NodeLock
from raydgp.errors import InputError, NoReference
from raydgp.run.supervisor import Result

_LOGGER = logging.getLogger(__name__)
_START_TIMEOUT_S = 180.0
_HOPELESS = 6  # losses in a row without one result between them: then it is the runner, not the configurations
_DEPTH = 2  # calls in flight: the next one's library is there when a run ends

Answer = tuple[Result, dict[str, Any]]


class Lost(Exception):
    """The runner gave no result. The pool, which catches it, tries again or records what happened.

    Attributes:
        blamed: it was this call's run that it was lost in, not that of a call before.
    """

    def __init__(self, reason: str, blamed: bool) -> None:
        super().__init__(reason)
        self.blamed = blamed


@dataclass(eq=False)
class Call:
    """One run that waits for a runner.

    Attributes:
        library: reference of the library's bytes.
        avoid: the slot that was lost with it before.
        outcome: the result and what its runner says of itself, or Lost, or NoReference.
    """

    workload: dict[str, Any]
    index: int
    library: ray.ObjectRef
    avoid: RunnerSlot | None
    outcome: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class RunnerSlot:
    """Serves calls through one runner at a time.

    Args:
        start: makes a new runner actor.
        deadline_s: of one run; the runner itself keeps a shorter one, so it passes only when the actor hangs.
        changed: called when the slot opens, closes, or has room again.
        node_id: the runner's node where it is bound to one.
        node_lock: of that node's processors.
        place: of its runners, from 0.

    Attributes:
        about: what the runner says of itself; None before it has started once.
        reason: why the last runner was lost.
        fault: why there can be no runner here, ever.
    """

    def __init__(
        self,
        start: Callable[[], ActorHandle],
        deadline_s: float,
        changed: Callable[[RunnerSlot], None],
        node_id: str | None,
        node_lock: NodeLock | None,
        place: int = 0,
    ) -> None:
        self.node_id, self.node_lock, self.place = node_id, node_lock, place
        self.about: dict[str, Any] | None = None
        self.reason = ""
        self.fault: InputError | None = None
        self._start, self._deadline_s, self._changed = start, deadline_s, changed
        self._actor: ActorHandle | None = None
        self._flying: deque[tuple[Call, asyncio.Future[Result]]] = deque()
        self._called = asyncio.Event()
        self._losses = 0
        self._task = asyncio.get_running_loop().create_task(self._live())

    @property
    def is_open(self) -> bool:
        return self._actor is not None

    @property
    def load(self) -> int:
        """Calls in flight."""
        return len(self._flying)

    @property
    def has_room(self) -> bool:
        return self.is_open and self.load < _DEPTH

    def submit(self, call: Call) -> bool:
        """Sends a call to the runner; False when the processors are not free for it."""
        assert self._actor
        if self.node_lock and not self.node_lock.enter_alone():
            return False
        answer: ray.ObjectRef = self._actor.run.remote(call.workload, call.index, call.library)
        self._flying.append((call, asyncio.wrap_future(answer.future())))
        self._called.set()
        return True

    def close(self, reason: str) -> None:
        """Ends the runner for good; its calls are lost."""
        self.reason = reason
        self._actor = None
        self._task.cancel()
        _LOGGER.warning("runner closed: %s", reason)

    async def _live(self) -> None:
        while self._losses < _HOPELESS:
            actor = self._start()
            try:
                self.about = await asyncio.wait_for(_answer(actor.describe.remote()), _START_TIMEOUT_S)
                self._actor = actor
                self._changed(self)
                await self._serve()
            except InputError as error:
                self.fault = InputError(str(getattr(error, "cause", error)))
                return
            except RayError as error:
                self.reason, self._losses = one_line(error), self._losses + 1
            except TimeoutError as error:
                self.reason = one_line(error)
                self._losses += self.is_open  # what does not start may wait for a device
            finally:
                self._actor = None
                ray.kill(actor)
                self._fail_all()
            _LOGGER.warning("runner lost with %d losses in a row: %s; another is started", self._losses, self.reason)
            self._changed(self)

    async def _serve(self) -> None:
        """Until the runner is lost; it answers calls in the order of their submission."""
        while True:
            self._called.clear()
            while self._flying:
                call, answer = self._flying[0]
                assert self.about
                try:
                    result = await asyncio.wait_for(answer, self._deadline_s)
                    for line in result.log:
                        _LOGGER.warning("%s", line)
                    call.outcome.set_result((result, self.about))
                except NoReference as error:  # so would any runner say, and this one is well
                    call.outcome.set_exception(getattr(error, "cause", error))
                self._losses = 0
                self._flying.popleft()
                self._landed()
            await self._called.wait()

    def _fail_all(self) -> None:
        blamed = True
        while self._flying:
            call, answer = self._flying.popleft()
            answer.cancel()  # what it may still say is too late
            if blamed:
                call.avoid = self
            call.outcome.set_exception(Lost(self.reason, blamed))
            blamed = False
            self._landed()

    def _landed(self) -> None:
        """Looks for the next call before others may use the processors, so that runs follow each other."""
        self._changed(self)
        if self.node_lock:
            self.node_lock.leave_alone()


async def _answer(reference: ray.ObjectRef) -> Any:
    return await reference


def one_line(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "the runner hung"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else 'no message'}"[:300]
