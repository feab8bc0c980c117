"""A whole run in one process, of a dozen configurations: what the driver, a batch and the recorder do, without Ray.

python -m tests.support.small_run FOLDER

leaves there the journals of processes that were killed at each of their system calls.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

from raydgp.cluster import RaydgpSearcher
from raydgp.records import Context, Journal, Measurement, Record, Status, read
from raydgp.records.history import first, known
from raydgp.targets import Target
from raydgp.templates.spaces import config_space
from raydgp.workloads import Conv2d

WORKLOAD = Conv2d(n=1, ci=16, h=8, w=8, co=16, kh=3, kw=3)
SPACE = config_space(WORKLOAD, "llvm")
CONTEXT = Context(
    task="conv",
    workload=WORKLOAD.to_dict(),
    target=Target.named("llvm"),
    space_hash=SPACE.hash,
    strategy="genetic",
    seed=0,
    run="small",
)
TRIALS, BATCH = 12, 4
CALLS = ("open", "pwrite", "write", "fsync", "ftruncate")  # of the system, that a journal is written with


def measured(index: int) -> Measurement:
    """What the machine of this run says: every fifth configuration fails."""
    if index % 5 == 0:
        return Measurement(index=index, status=Status.RUN_ERROR, error="crashed")
    return Measurement(index=index, status=Status.OK, times_s=(1e-3 * (1 + index * 2654435761 % 97),) * 3)


@dataclass
class SmallRun:
    """What the same command again finds and does.

    Attributes:
        told: configurations that the strategy was told of in this start, in order.
    """

    journal: Path
    told: list[int] = field(default_factory=list)

    def __call__(self) -> None:
        searcher = RaydgpSearcher(
            SPACE, CONTEXT.strategy, TRIALS, BATCH, CONTEXT.seed, known=known(read(self.journal), SPACE.hash)
        )
        with Journal(self.journal) as journal:
            while isinstance(config := searcher.suggest("batch"), dict):
                outcomes = [measured(index) for index in config["indices"]]
                for place in reversed(range(len(outcomes))):  # the last one is there first
                    trial, knobs = config["trials"][place], config["knobs"][place]
                    journal.append([Record(context=CONTEXT, trial=trial, knobs=knobs, measurement=outcomes[place])])
                gflops = [outcome.gflops(WORKLOAD.flops) for outcome in outcomes]
                searcher.on_trial_complete(trial_id="batch", result={"gflops": gflops})
                self.told += config["indices"]


def asked(journal: Path) -> list[int]:
    """The configurations of a journal in the order that the search asked for them."""
    return [record.measurement.index for record in sorted(first(read(journal)), key=lambda record: record.trial)]


@contextmanager
def intercepted(name: str, call: Callable[..., Any]) -> Iterator[None]:
    """Puts `call(the system's call, *arguments)` in the place of one of `CALLS`."""
    system = getattr(os, name)
    with mock.patch.object(os, name, lambda *arguments, **named: call(system, *arguments, **named)):
        yield


def _killed_at(journal: Path, at: int) -> None:
    """Runs to the AT-th system call on the journal, where this process is killed: in the middle of it, if it writes."""
    left = at

    def counted(system: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            if system is write and isinstance(arguments[1], bytes):
                system(arguments[0], arguments[1][: len(arguments[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return system(*arguments, **named)

    write = os.write
    with ExitStack() as stack:
        for name in CALLS:
            stack.enter_context(intercepted(name, counted))
        SmallRun(journal)()


def main(folder: Path) -> None:
    """Makes the journals 1, 2, ... of runs that were killed at this call; that of the last one was not."""
    for at in count(1):
        if (pid := os.fork()) == 0:
            _killed_at(folder / str(at), at)
            os._exit(0)
        if not os.WIFSIGNALED(os.waitpid(pid, 0)[1]):
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
