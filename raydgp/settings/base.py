"""Settings as pydantic models, read from YAML. An unknown key is an error that names the nearest known one."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from raydgp.data import configuration, configurations
from raydgp.errors import InputError, first_line, nearest

_LARGEST = 2**63 - 1  # integer that all that is written of settings can hold
_MOST = 100_000  # values of one key, at most: YAML's aliases make more of a line than any memory holds


class Settings(BaseModel):
    """Base of all settings: their fields are the keys of a file, and those of the command line's options.

    Integers have 64 bits and numbers are finite.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    on_command_line: ClassVar[bool] = True  # a missing key can be given as an option

    @field_validator("*", mode="before")
    @classmethod
    def _bounded(cls, value: Any) -> Any:
        for count, each in enumerate(_values(value)):
            if count >= _MOST:
                raise ValueError(f"more than {_MOST} values")
            if isinstance(each, int) and abs(each) > _LARGEST:
                raise ValueError("input should be an integer of at most 64 bits")
        return value


M = TypeVar("M", bound=Settings)

_shown = reprlib.Repr()
_shown.maxstring = _shown.maxother = 200


def load(path: Path | None, overrides: dict[str, Any], kind: type[M], caller: str = "command line") -> M:
    """Reads a YAML file (none: the defaults) and lays the overrides whose value is not None over it.

    Args:
        path: of a file, or the name of a packaged one such as `quickstart`.
        overrides: nested as in the file.
        kind: of the settings.
        caller: whose the overrides are, for messages where there is no file.

    Raises:
        InputError: no such file, broken YAML, unknown key, wrong type or value; names the file, the key, the remedy.
    """
    path = configuration(path) if path else None
    source = str(path) if path else caller
    data: Any = {}
    if path is not None:
        try:
            data = parsed(path.read_text()) or {}
        except OSError as error:
            remedy = "give a file that exists"
            if kind.on_command_line:
                remedy = f"give --config a file that exists, or one of {', '.join(configurations())}"
            raise InputError(f"{source}: {error.strerror or error}; {remedy}") from None
        except UnicodeDecodeError as error:
            raise InputError(f"{source}: not valid YAML ({error})") from None
        except InputError as error:
            raise InputError(f"{source}: {error}") from None
        if not isinstance(data, dict):
            raise InputError(f"{source}: must be a mapping of settings such as `model: resnet18`")
    try:
        return kind.model_validate(_merged(data, overrides))
    except ValidationError as error:
        raise InputError(f"{source}: {_explain(error, kind)}") from None


def parsed(text: str) -> Any:
    """What YAML says.

    Raises:
        InputError: it is not valid, or too deep; names the line where it is known.
    """
    try:
        return yaml.safe_load(text)
    except RecursionError:
        raise InputError("not valid YAML (nested too deep)") from None
    except (yaml.YAMLError, ValueError) as error:  # the latter for a date or a number that is none
        where = getattr(error, "problem_mark", None)
        at = f"line {where.line + 1}: " if where else ""
        problem = getattr(error, "problem", None) or first_line(error)
        raise InputError(f"{at}not valid YAML ({problem})") from None


def _values(tree: Any) -> Iterator[Any]:
    """All that is no container within nested ones."""
    if isinstance(tree, dict):
        tree = tree.values()
    elif not isinstance(tree, list | tuple):
        yield tree
        return
    for each in tree:
        yield from _values(each)


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid over `base`; None, which is what an empty section of YAML is, says nothing in either."""
    out = {key: value for key, value in base.items() if value is not None}
    for key, value in over.items():
        if not isinstance(value, dict):
            out |= {} if value is None else {key: value}
        elif isinstance(out.get(key, {}), dict):  # else it stays as it is, for validation to name it
            out[key] = _merged(out.get(key, {}), value)
    return out


def _explain(error: ValidationError, kind: type[Settings]) -> str:
    """The first fault in one line: the key, what is wrong, and the nearest key where it is unknown."""
    faults = error.errors()
    fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])  # a misspelt key also misses
    path = [str(part) for part in fault["loc"]]
    key = ".".join(path)
    if fault["type"] == "extra_forbidden":
        return f"unknown key {key!r}{nearest(path[-1], _keys(path[:-1], kind))}"
    if fault["type"] == "missing":
        option = f" or with --{key.replace('_', '-')}" if kind.on_command_line else ""
        return f"key {key!r} is missing; give it in the file{option}"
    message = fault["msg"].removeprefix("Value error, ")
    return f"key {key!r}: {message[0].lower()}{message[1:]}, not {_shown.repr(fault['input'])}"


def _keys(path: list[str], kind: type[Settings]) -> list[str]:
    model: Any = kind
    for part in path:  # the number of an element of a list, or the name of a field
        model = get_args(model)[0] if part.isdigit() else model.model_fields[part].annotation
    return list(model.model_fields)
