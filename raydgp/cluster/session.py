"""Joins a Ray cluster, or starts one on this machine that only this machine can reach."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from raydgp.cluster.leftovers import clean, mark
from raydgp.errors import InputError, RaydgpError
from raydgp.records.lock import FileLock
from raydgp.sandbox.cpus import own_cpus

_REACH_TIMEOUT_S = 5.0
_HEALTH_TIMEOUT_S = 10.0

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_worker_niceness", "0")  # 15 by default, and the kernels would inherit it
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what Ray is going to do, without its warning

import ray  # noqa: E402 - reads its settings from the environment when it is imported
from ray._common.utils import get_default_ray_temp_dir  # noqa: E402
from ray._private import ray_constants  # noqa: E402
from ray._private import utils as ray_utils  # noqa: E402
from ray._private import worker as ray_worker  # noqa: E402
from ray._private.services import canonicalize_bootstrap_address  # noqa: E402

_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
_marks: list[FileLock] = []  # of this process's own sessions: kept until it ends


def clean_left_overs() -> list[Path]:
    """Removes the temporary folders that killed runs of this machine have left; returns which."""
    return clean(Path(get_default_ray_temp_dir()))


def connect(address: str | None) -> bool:
    """Connects this process to Ray, quietly.

    Args:
        address: `host:port`, `auto`, or None: the cluster of the Ray job that this is, or else a new local one.

    Returns:
        Whether it was not connected before: then `ray.shutdown` is the caller's to call.

    Raises:
        InputError: no cluster answers at the address.
        RaydgpError: Ray does not start here.
    """
    if ray.is_initialized():
        return False
    address = address or os.environ.get("RAY_ADDRESS")
    if address is None or address == "local":
        _start_here()
        clean_left_overs()
        node = ray_worker.global_worker.node
        assert node
        _marks.append(mark(Path(node.get_session_dir_path())))
        return True
    remedy = "start it with `ray start --head`, or leave the address out to tune on this machine"
    if "://" in address:
        raise InputError(f"Ray address {address!r} is of another kind than host:port; submit a Ray job instead")
    if address == "auto":
        _check_reach(_last_started(remedy), remedy)
    else:
        _check_reach(address, remedy)
        _check_health(address, remedy)
    try:
        with uninterrupted():
            ray.init(address=address, **_QUIET)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"no Ray cluster at {address!r} ({_first_line(error)}); {remedy}") from None
    return True


def _start_here() -> None:
    """Starts a session of this machine alone. Where others keep it busy Ray may give up on itself: then once more."""
    for last in (False, True):
        try:
            with _loopback(), uninterrupted():
                ray.init(address="local", num_cpus=len(own_cpus()), include_dashboard=False, **_QUIET)
            return
        except Exception as error:  # Ray's, of no type of its own
            ray.shutdown()
            if last:
                raise RaydgpError(
                    f"Ray does not start here ({_first_line(error)}): run the same command again when this machine is "
                    "less busy and its temporary folder has room, or join a cluster with --ray-address"
                ) from error


@contextmanager
def _loopback() -> Iterator[None]:
    """Lets Ray take the loopback address for this machine's, so that all it starts listens there alone.

    It does so by itself on every system but Linux, where `_node_ip_address="127.0.0.1"` is silently replaced.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"  # for the processes that it starts
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
        del os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR]


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Holds the first Ctrl-C or SIGTERM back until Ray has started, and then gives the caller's handlers back.

    Interrupted in the middle of its start Ray prints a trace or leaves processes behind; and it puts a handler of its
    own in the place of SIGTERM's, in C++ another one that prints a crash report. Where SIGTERM had no handler, Ray's
    stays, which ends the session with the process.
    """
    if threading.current_thread() is not threading.main_thread():  # signals are its alone
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    heeded = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    rays: list[Any] = []
    set_rays = ray_utils.set_sigterm_handler

    def hold(number: int, _: object) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)

    try:
        ray_utils.set_sigterm_handler = rays.append
        for number in heeded:
            signal.signal(number, hold)
        yield
    finally:
        ray_utils.set_sigterm_handler = set_rays
        if before[signal.SIGTERM] is signal.SIG_DFL and rays:
            before[signal.SIGTERM] = rays[-1]
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])


def _last_started(remedy: str) -> str:
    """The cluster that was started last on this machine; `ray.init` ends the process when it is gone."""
    try:
        address = canonicalize_bootstrap_address("auto")
    except ConnectionError:
        address = None
    if address is None:
        raise InputError(f"no Ray cluster at 'auto': none runs on this machine; {remedy}")
    return address


def _check_reach(address: str, remedy: str) -> None:
    """`ray.init` takes two minutes to find out that no one answers; this takes seconds."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise InputError(f"Ray address {address!r} is not host:port; the head's `ray start` prints it")
    try:
        socket.create_connection((host, int(port)), _REACH_TIMEOUT_S).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"no Ray cluster at {address!r} ({error}); {remedy}") from None


def _check_health(address: str, remedy: str) -> None:
    """Whether Ray answers, and answers us."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_HEALTH_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise InputError(f"what answers at {address!r} is no Ray cluster; {remedy}") from None
    if "AuthenticationError" in answer.stderr:
        raise InputError(
            f"the Ray cluster at {address!r} wants a token: give Ray the cluster's, with RAY_AUTH_MODE=token"
        )
    if answer.returncode:
        raise InputError(f"what answers at {address!r} is no Ray cluster of version {ray.__version__}; {remedy}")


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
