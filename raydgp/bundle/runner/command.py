"""The runner's command line, and what it does. Exit codes: 0 done or the time is over, 2 bad input, 1 anything else."""

from __future__ import annotations

import argparse
import math
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NoReturn

from raydgp.bundle.runner.archive import Archive
from raydgp.bundle.runner.child import joined
from raydgp.bundle.runner.hands import BudgetOver, Hands, Unopened
from raydgp.bundle.runner.progress import say
from raydgp.bundle.runner.results import Results
from raydgp.bundle.runner.session import Session
from raydgp.errors import InputError, RaydgpError, Stopped
from raydgp.sandbox.cpus import own_cores
from raydgp.sandbox.messages import Message


def run(bundle: Path, out: Path, minutes: float) -> dict[str, Any]:
    """Measures a bundle's kernels; the same call goes on where it was stopped.

    Args:
        out: file of results.
        minutes: that it may take, whatever happens.

    Returns:
        `measured` and `kernels`, of all calls together; `failed`, by status, of this one; `results`.

    Raises:
        InputError: the bundle, the results or this machine's device do not fit.
        JournalError: the results cannot be written.
        RaydgpError: the device can no longer be used. What was measured before is kept.
        Stopped: by a signal; what was measured is kept.
    """
    if not 0 < minutes < math.inf:
        raise InputError(f"--minutes {minutes:g}: give a positive number")
    ends = time.monotonic() + 60 * minutes
    archive = Archive(bundle)
    threads, opening = _opening(archive)
    with _signals(), closing(Hands(opening, threads, ends)) as hands:
        try:
            hands.open()
        except (Unopened, BudgetOver) as error:
            raise InputError(str(error) or f"--minutes {minutes:g} is over before the device is open") from None
        header = {"bundle": archive.digest, "device": hands.device, "caches": archive.header["caches"]}
        with closing(Results(out, {**header, "started_unix_s": time.time()})) as results:
            session = Session(archive, results, hands)
            progress = session.progress
            try:
                session.run()
            except BudgetOver:
                pass
            except Unopened as error:
                raise RaydgpError(f"the device can no longer be used: {error}; {out} keeps what is measured") from None
            except KeyboardInterrupt:
                raise Stopped(f"stopped; {out} keeps what is measured, and the same command goes on") from None
            finally:
                say(progress.line())
    return {
        "measured": progress.done,
        "kernels": progress.total,
        "failed": dict(progress.failures),
        "results": str(out),
    }


def main(arguments: Sequence[str] | None = None, bundle: Path | None = None) -> NoReturn:
    """Runs the command line to the end of this process.

    Args:
        bundle: that this script is part of; it need not be given then.
    """
    parser = argparse.ArgumentParser(description="Measure the kernels of a bundle; the same command again goes on.")
    if bundle is None:
        parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="File of `raydgp bundle make`.")
    parser.add_argument("--out", type=Path, required=True, help="File of results, JSON lines.")
    parser.add_argument("--minutes", type=float, required=True, help="Minutes that it may take, whatever happens.")
    given = parser.parse_args(arguments)
    try:
        found = run(bundle or given.bundle, given.out, given.minutes)
    except KeyboardInterrupt:
        _fail("stopped", 1)
    except (InputError, RaydgpError) as error:
        _fail(str(error), 2 if isinstance(error, InputError) else 1)
    print(f"{found['measured']} of {found['kernels']} kernels measured. Results: {found['results']}")
    sys.exit(0)


def _opening(archive: Archive) -> tuple[int, Message]:
    """Threads of a kernel, and the request that gives a child its device."""
    header = archive.header
    request = {"do": "open", "kind": header["kind"], "measure": header["measure"]}
    if header["kind"] == "cuda":
        return 1, ({**request, "arch": header["target"]["arch"]}, b"")
    threads, cores = header["threads"] or len(own_cores()), len(own_cores())
    if threads > cores:
        raise InputError(f"{archive.path}: made for {threads} threads, and here are {cores} cores")
    libraries = archive.runtime()
    return threads, ({**request, "threads": threads, "libraries": list(libraries)}, joined(*libraries.values()))


@contextmanager
def _signals() -> Iterator[None]:
    """A polite request to end is taken as Ctrl-C is."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _fail(message: str, code: int) -> NoReturn:
    print(f"raydgp bundle: {message}", file=sys.stderr)
    sys.exit(code)
