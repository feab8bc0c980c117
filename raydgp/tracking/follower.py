"""The follower's process: `python -m raydgp.tracking.follower RUN_DIR [--until-done]`.

Without `--until-done` it sends what is missing and ends; with it, it goes on until its standard input ends. Exit code
0: all of the journal is in MLflow. 2: it is not, and the last line on standard error says why.
"""

from __future__ import annotations

import argparse
import logging
import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path

from mlflow.exceptions import MlflowException
from requests import RequestException
from sqlalchemy.exc import SQLAlchemyError

from raydgp.errors import InputError
from raydgp.records import RunFolder
from raydgp.records.lock import FileLock, Held
from raydgp.tracking.mlflow_writer import MlflowWriter
from raydgp.tracking.state import STATE_NAME

POLL_S = 1.0
RETRY_S = 5.0
_END_S = 30
_UNREACHABLE = (MlflowException, RequestException, SQLAlchemyError, OSError)


def follow(run_dir: Path) -> None:
    """Writes a run into MLflow while it goes on. A failing server costs it nothing but another try.

    Raises:
        InputError: in the end, something could not be sent.
    """
    lock: FileLock | None = None
    writer: MlflowWriter | None = None
    pause_s = 0.0
    while not _input_ended(pause_s):
        try:
            lock = lock or _lock(run_dir)
            writer = writer or MlflowWriter(run_dir)
            writer.update()
            pause_s = POLL_S
        except (InputError, *_UNREACHABLE) as error:
            print(_one_line(error), file=sys.stderr, flush=True)
            writer, pause_s = None, RETRY_S  # a new one reads the journal from its beginning: nothing is skipped
    signal.alarm(_END_S)  # whoever waited for it has given up by then, or is gone: `raydgp sync` sends the rest
    finish(run_dir, lock)


def finish(run_dir: Path, lock: FileLock | None = None) -> None:
    """Sends all that MLflow does not have yet of a run, reading the manifest and the journal anew.

    Raises:
        InputError: it is not a run, another process tracks it, or MLflow cannot be reached.
    """
    lock = lock or _lock(run_dir)
    try:
        MlflowWriter(run_dir).finish()
    except _UNREACHABLE as error:
        uri = RunFolder(run_dir).settings.mlflow.uri
        reason = f"MLflow at {uri} cannot be reached or refuses ({_one_line(error)})"
        raise InputError(f"{reason}; when it is back, run `raydgp sync {run_dir}`") from None
    finally:
        lock.release()


def _lock(run_dir: Path) -> FileLock:
    try:
        return FileLock(run_dir / f"{STATE_NAME}.lock")
    except Held as held:
        raise InputError(f"another process tracks this run: {held}") from None
    except OSError as error:
        raise InputError(f"{run_dir}: {error.strerror}; give a folder that can be written") from None


def _input_ended(wait_s: float) -> bool:
    return bool(select.select([sys.stdin], [], [], wait_s)[0])


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _yield_the_machine() -> None:
    """Runs when no one else wants the cores: a measurement must not notice.

    Where Linux schedules by session, niceness counts only within one, and the session has a niceness of its own.
    """
    os.nice(19)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text("19")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m raydgp.tracking.follower", description=__doc__)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--until-done", action="store_true")
    arguments = parser.parse_args()
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        if arguments.until_done:
            _yield_the_machine()
            follow(arguments.run_dir)
        else:
            finish(arguments.run_dir)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
