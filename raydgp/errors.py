"""What can go wrong, named by what the user can do about it. Every message is one line."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

_MOST = 20  # names in a message


def nearest(name: object, known: Iterable[str]) -> str:
    """How a message ends that met an unknown name: the known one that was meant, or all of them, but no screenful."""
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    more = [f"and {len(names) - _MOST} others"] if len(names) > _MOST else []
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join([*names[:_MOST], *more])}"


# What a document of another form provokes in code that expects its own: no value, key, type or depth can be trusted.
MALFORMED = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError, AssertionError)


def first_line(error: BaseException) -> str:
    """What an error says, as a part of one line."""
    said = str(error).strip().partition("\n")[0] or type(error).__name__
    return (f"no {said}" if isinstance(error, KeyError) else said)[:300]


class RaydgpError(Exception):
    """Base of all errors that raydgp raises on purpose."""


class InputError(RaydgpError, ValueError):
    """What the user gave is wrong: mend the input named in the message (exit code 2)."""


class JournalError(RaydgpError):
    """The journal could not be opened or written: free the disk, the lock or the path; earlier records are intact."""


class ModelError(InputError):
    """A surrogate artefact is damaged or belongs to another space: pre-train again."""


class BuildError(RaydgpError):
    """The configuration makes no kernel; the message is the reason in one line."""


class CudaCompileError(RaydgpError):
    """The compiler refuses the source; the message is its first error."""


class NoReference(RaydgpError):
    """A workload's inputs or right answer cannot be computed: no configuration of it can be checked."""


class ChildDied(RaydgpError):
    """A child process ended without an answer; the message says how it ended."""


class ChildHung(RaydgpError):
    """A child process gave no answer in time and was killed."""


class RunnersLost(RaydgpError):
    """No measurement runner is left: bring nodes back and run the same command again to resume."""


class Stopped(RaydgpError):
    """The user stopped the run: the same command goes on from what is kept."""


@contextmanager
def form_of(what: str, remedy: str = "") -> Iterator[None]:
    """Whatever a document of another form provokes becomes an InputError; our own errors pass.

    Args:
        what: it is not, as its message begins.
        remedy: as it ends.
    """
    try:
        yield
    except RaydgpError:
        raise
    except MALFORMED as error:
        raise InputError(f"{what}: {first_line(error)}{remedy and f'; {remedy}'}") from None
