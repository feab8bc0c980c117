"""Restrictions that are functions on arrays: known by name within a program, and carried to its worker processes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raydgp.errors import InputError
from raydgp.registry import Registry, adopt
from raydgp.space.restrictions import Columns, Restriction

ArrayFunction = Callable[[Mapping[str, NDArray[Any]]], Any]

PREFIX = "function:"  # of its name among expressions
_GROUP = "raydgp.restrictions"
_FUNCTIONS: Registry[ArrayFunction] = Registry("restriction", _GROUP)


def named(function: ArrayFunction) -> str:
    """Makes a function known, and gives the name by which a space refers to it: the same for the same code."""
    name = f"{getattr(function, '__name__', type(function).__name__)}-{_digest(function)}"
    adopt({_GROUP: {name: function}})  # not as an extension, whose module would be run again in every child process
    return f"{PREFIX}{name}"


def restriction(name: str) -> Restriction:
    """The restriction of a name that `named` gave; the function is looked for when it is first needed."""

    def allowed(columns: Columns) -> NDArray[np.bool_]:
        known = name.removeprefix(PREFIX)
        if known not in _FUNCTIONS:
            raise InputError(
                f"restriction {known!r} is a function of the program that made the space; make the space here, too"
            )
        rows = len(next(iter(columns.values())))
        try:
            with np.errstate(all="ignore"):
                found = np.asarray(_FUNCTIONS[known](columns))
        except Exception as error:  # the user's code
            raise InputError(f"restriction {known!r} failed: {type(error).__name__}: {error}") from None
        if found.shape != (rows,) or found.dtype != bool:
            raise InputError(
                f"restriction {known!r} gave {found.dtype}{list(found.shape)} for {rows} configurations; it takes "
                "arrays by parameter and gives an array of bool"
            )
        return found

    return allowed


def _digest(function: ArrayFunction) -> str:
    """Of what a function does: its code, the values that it closes over, and its defaults; 8 hexadecimal digits."""
    code = getattr(function, "__code__", None)
    if code is None:
        return hashlib.sha256(repr(type(function)).encode()).hexdigest()[:8]
    cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    held = repr((_content(code), [_plain(cell) for cell in cells], getattr(function, "__defaults__", None)))
    return hashlib.sha256(held.encode()).hexdigest()[:8]


def _content(code: CodeType) -> tuple[Any, ...]:
    """What is the same wherever the function stands in its file."""
    constants = [_content(each) if isinstance(each, CodeType) else each for each in code.co_consts]
    return code.co_code, code.co_names, constants


def _plain(value: Any) -> Any:
    """A value whose text is the same in every process."""
    code = getattr(value, "__code__", None)
    return _content(code) if code is not None else value
