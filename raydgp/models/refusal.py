"""What a framework says of a model that it does not take, as the one line that a user gets."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

from raydgp.errors import InputError

_LONGEST = 300  # characters of a framework's own words in a message


@contextlib.contextmanager
def refusal(source: object, failure: str) -> Iterator[None]:
    """Makes of whatever a framework raises the one line that says what is wrong with the input."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    except Exception as error:
        said = first_line(error)
        raise InputError(f"{source}: {failure}: {type(error).__name__}{f': {said}' if said else ''}") from error


def first_line(error: Exception) -> str:
    """The first line of an error's words, with the next one where it ends with a colon."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return _short(" ".join(lines[:2] if lines and lines[0].endswith(":") else lines[:1]))


def last_line(error: Exception) -> str:
    """The last line of an error's words, where TVM says after its trace what is wrong; its type where it has none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return _short(lines[-1]) if lines else type(error).__name__


def _short(said: str) -> str:
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]} ..."
