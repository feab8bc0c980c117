"""The driver's end of tracking: starts the follower, tells it that the run is over, and never waits without end."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from raydgp.errors import InputError, RaydgpError
from raydgp.records import RunFolder
from raydgp.tracking.uris import NOTE

LOG_NAME = "mlflow.log"

# MLflow's own defaults keep trying a dead server for minutes (docs/facts.md, MLflow). What the user sets goes first.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
_KILL_AFTER_S = 600.0
_GIVES_WAY = 0.25  # share of the time at a run's end that the follower has to finish by itself


class TrackerProcess:
    """Tracks a run in MLflow while it goes on; whatever happens to the server, the caller only sees True or False."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the follower in a new session, so that Ctrl-C in the terminal does not reach it.

        It takes the end of its standard input for the end of the run, so that it also ends when this process dies.
        """
        with (self.run_dir / LOG_NAME).open("ab") as log:
            self._process = subprocess.Popen(
                _command(self.run_dir, "--until-done"),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=_environment(),
                start_new_session=True,
            )

    def finish(self, timeout_s: float) -> bool:
        """Tells the follower that the run is over and waits for it.

        It gives way to all else; where that leaves it too little of the machine, one that does not takes over.

        Returns:
            Whether all of the journal is in MLflow. If not, `raydgp sync RUN` sends the rest.
        """
        if self._process is None:
            return False
        assert self._process.stdin
        self._process.stdin.close()
        try:
            return self._process.wait(_GIVES_WAY * timeout_s) == 0
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with (self.run_dir / LOG_NAME).open("ab") as log, suppress(subprocess.TimeoutExpired):
            left_s = (1 - _GIVES_WAY) * timeout_s
            return _sent_now(self.run_dir, log, left_s).returncode == 0
        return False


def sync(run_dir: Path) -> str:
    """Sends what MLflow does not have yet of a run; doing it again changes nothing.

    Returns:
        Where the run is to be found: tracking URI and experiment.

    Raises:
        InputError: the folder is not a run, the server cannot be reached, or another process tracks the run.
    """
    settings = RunFolder(run_dir).settings
    try:
        done = _sent_now(run_dir, subprocess.PIPE, _KILL_AFTER_S)
    except subprocess.TimeoutExpired:
        raise InputError(f"MLflow took more than {_KILL_AFTER_S:.0f} s; run `raydgp sync {run_dir}` again") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").splitlines() or ["the follower ended without a word"]
        raise (InputError if done.returncode == 2 else RaydgpError)(lines[-1])
    notes = [line for line in done.stdout.decode(errors="replace").splitlines() if line.startswith(NOTE)]
    return "; ".join([f"{settings.mlflow.uri}, experiment {settings.experiment}", *notes])


def _sent_now(run_dir: Path, output: Any, timeout_s: float) -> subprocess.CompletedProcess[bytes]:
    """A process that sends what is missing, at the priority of this one, and has ended.

    Raises:
        TimeoutExpired: it took longer, and was killed.
    """
    command = _command(run_dir)
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=_environment(), timeout=timeout_s
    )


def _command(run_dir: Path, *flags: str) -> list[str]:
    return [sys.executable, "-m", "raydgp.tracking.follower", str(run_dir), *flags]


def _environment() -> dict[str, str]:
    return _ENVIRONMENT | os.environ
