"""A child process that does dangerous work: asked by messages, killed at a deadline, never outliving its parent."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from raydgp.errors import ChildDied, ChildHung
from raydgp.registry import extensions
from raydgp.sandbox.messages import FrameError, Message, receive, send

START_TIMEOUT_S = 120.0  # imports of TVM from a slow disk
_F_SETSIG = 10  # Linux; Python's fcntl does not name it
_LOOK_S = 0.05  # how often a silent child is looked at: a grandchild may hold its channel open after it died


class Child:
    """`python -m module FD args...` in its own session, so that Ctrl-C reaches the parent alone, which decides.

    Its standard input is a pipe that is never written to: when the parent dies in whatever way, Linux closes it and
    kills the child's group. A death signal would not do: that is sent when the *thread* that started the child ends.

    Args:
        module: runs `raydgp.sandbox.child_loop.serve`.
        args: further arguments of it.
        env: laid over this process's environment.
    """

    def __init__(self, module: str, args: Sequence[str] = (), env: Mapping[str, str] | None = None) -> None:
        self._channel, theirs = socket.socketpair()
        self._poll = select.poll()
        self._poll.register(self._channel, select.POLLIN)
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by _end
        self._ready = False
        root = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
        lifeline, held = os.pipe()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, str(theirs.fileno()), *args],
                stdin=lifeline,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                env={**os.environ, **extensions(), **(env or {}), "PYTHONPATH": path},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -self.process.pid)
        fcntl.fcntl(lifeline, _F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_ASYNC)
        os.close(lifeline)
        self._finalizer = weakref.finalize(self, _end, os.getpid(), self.process, held, self._channel, self._stderr)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Returns when the child has imported what it needs.

        Raises:
            ChildDied, ChildHung: it never did; says why.
        """
        if self._ready:
            return
        try:
            receive(self._channel, self._waiter(time.monotonic() + timeout_s))
        except (EOFError, OSError, FrameError, ChildDied):
            end = self._how_it_ended()
            self._stderr.seek(0)
            lines = self._stderr.read().decode(errors="replace").split("\n")
            last = next((line.strip() for line in reversed(lines) if line.strip()), "no word why")
            raise ChildDied(f"a child process cannot start ({end}): {last}; see `raydgp doctor`") from None
        except ChildHung:
            raise ChildHung(f"a child process took over {timeout_s:g} s to start; see `raydgp doctor`") from None
        self._ready = True

    def call(self, header: dict[str, Any], body: bytes, timeout_s: float) -> Message:
        """Sends a request and waits for its answer. After an exception the child must be killed.

        Raises:
            ChildDied, ChildHung: no answer; the message is one line on how it ended.
        """
        deadline = time.monotonic() + timeout_s
        try:
            self._channel.settimeout(timeout_s)
            send(self._channel, header, body)
            self._channel.settimeout(None)
            return receive(self._channel, self._waiter(deadline))
        except TimeoutError:
            raise ChildHung(f"took no request for {timeout_s:g} s and was killed") from None
        except ChildHung:
            raise ChildHung(f"no answer within {timeout_s:g} s, killed") from None
        except FrameError:
            raise ChildDied("wrote into the channel of its process, killed") from None
        except (EOFError, OSError):
            raise ChildDied(self._how_it_ended()) from None

    def pause(self) -> None:
        """Takes the processor away from it, so that it disturbs no timing."""
        _signal_group(self.process, signal.SIGSTOP)

    def resume(self) -> None:
        _signal_group(self.process, signal.SIGCONT)

    def kill(self) -> None:
        """Kills its whole process group, which no signal handler withstands, and reaps it; may be called twice."""
        self._finalizer()

    def _waiter(self, deadline: float) -> Callable[[], None]:
        """Returns a function that waits until there is something to read, and raises ChildHung at the deadline."""

        def wait() -> None:
            while not self._poll.poll(1000 * _LOOK_S):
                if not self.alive and not self._poll.poll(0):
                    raise ChildDied(self._how_it_ended())
                if time.monotonic() > deadline:
                    raise ChildHung

        return wait

    def _how_it_ended(self) -> str:
        """Says how it ended. Its channel is closed, so it is ending."""
        try:
            code = self.process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            return "closed its channel and went on, killed"
        if code < 0:
            name = {each.value: each.name for each in signal.Signals}.get(-code, f"signal {-code}")
            return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
        return f"exited with code {code} without a result"


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # reaped, and no process of its group is left
        os.killpg(process.pid, number)


def _end(
    owner: int, process: subprocess.Popen[bytes], lifeline: int, channel: socket.socket, stderr: IO[bytes]
) -> None:
    """Ends a child whose `Child` is killed, forgotten, or still there at exit, but not at a forked process's exit."""
    if os.getpid() == owner:
        _signal_group(process, signal.SIGKILL)
        process.wait()
        os.close(lifeline)
        channel.close()
        stderr.close()
