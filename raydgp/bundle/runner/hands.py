"""The child that owns the device, and a second one that waits to take its place."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from raydgp.errors import ChildDied, ChildHung, RaydgpError
from raydgp.sandbox.cpus import thread_environment
from raydgp.sandbox.messages import Message
from raydgp.sandbox.process import Child

_OPEN_TIMEOUT_S = 60.0  # of a device that was just reset, or whose driver compiles something
_OPENINGS = 3


class Unopened(Exception):
    """The device cannot be used; the message says why, in one line."""


class BudgetOver(Exception):
    """The time is over."""


class Hands:
    """Sends requests to a child, none of which outlives the budget.

    The second child is stopped during requests while it still starts, so that it disturbs no timing. It takes the
    device only when it is its turn.

    Args:
        opening: request and body that give a child its device.
        threads: of a CPU kernel.
        ends: monotonic time at which the budget ends.

    Attributes:
        device: what the child says of it.
        known: tasks that the child was told of; empty again when it was replaced.
    """

    def __init__(self, opening: Message, threads: int, ends: float) -> None:
        self._opening, self._threads, self._ends = opening, threads, ends
        self.known: set[int] = set()
        self.device: dict[str, Any] = {}
        self._child = self._start()
        self._spare: Child | None = None
        self._open = False

    @property
    def left_s(self) -> float:
        return self._ends - time.monotonic()

    def open(self) -> None:
        """A living child that has the device; does nothing where there is one.

        Raises:
            Unopened: the device cannot be used, tried a few times unless it is not there at all.
            BudgetOver: the time is over.
        """
        for attempt in range(1, _OPENINGS + 1):
            if self._open and self._child.alive:
                return
            if not self._child.alive:
                self.replace()
            try:
                self._child.wait_ready(self._limit(_OPEN_TIMEOUT_S))
                answer, _ = self._child.call(*self._opening, self._limit(_OPEN_TIMEOUT_S))
            except (ChildDied, ChildHung) as error:
                self.replace()
                self._limit(1.0)
                if attempt == _OPENINGS:
                    raise Unopened(str(error)) from None
                continue
            if "error" in answer:
                self.replace()
                if attempt == _OPENINGS or not self.device:
                    raise Unopened(answer["error"])
                continue
            self.device, self._open = answer["device"], True

    def call(self, header: dict[str, Any], body: bytes, timeout_s: float) -> Message:
        """The child's answer. After an exception it is replaced already.

        Raises:
            ChildDied, ChildHung: it gave none.
            BudgetOver: the time is over before the request's own limit.
        """
        if self._spare is None:
            self._spare = self._start()
        self._spare.pause()
        limit = self._limit(timeout_s)
        try:
            return self._child.call(header, body, limit)
        except ChildHung:
            self.replace()
            if limit < timeout_s:
                raise BudgetOver from None
            raise
        except BaseException:  # also Ctrl-C while the kernel runs
            self.replace()
            raise
        finally:
            if self._spare:
                self._spare.resume()

    def replace(self) -> None:
        """Ends the child; the other one takes its place."""
        self._child.kill()
        self._child, self._spare, self._open = self._spare or self._start(), None, False
        self._child.resume()
        self.known.clear()

    def close(self) -> None:
        """Ends both children; may be called twice."""
        for child in filter(None, (self._child, self._spare)):
            with suppress(RaydgpError):
                child.kill()

    def _limit(self, seconds: float) -> float:
        if self.left_s <= 0:
            raise BudgetOver
        return min(seconds, self.left_s)

    def _start(self) -> Child:
        # CUDA numbers GPUs by speed unless told to do it as NVML and nvidia-smi do
        environment = {**thread_environment(self._threads), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        return Child("raydgp.bundle.runner.child", env=environment)
