"""Errors of other processes, raised in this one as what they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ray.exceptions import RayError, RayTaskError

from raydgp.cluster.runner_slot import one_line
from raydgp.errors import RaydgpError


@contextmanager
def raised_here() -> Iterator[None]:
    """An error on purpose that an actor raised becomes the same error of this process, and one line."""
    try:
        yield
    except RayTaskError as error:
        if isinstance(error, RaydgpError):
            raise error.cause from None
        raise
    except RayError as error:
        raise RaydgpError(
            f"a process of the run was lost ({one_line(error)}); run the same command to resume"
        ) from None
