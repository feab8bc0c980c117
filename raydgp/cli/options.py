"""Options of commands, made of the fields of settings: names, types, defaults and help have one source."""

from __future__ import annotations

import logging
import types
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import click
from click.shell_completion import CompletionItem
from pydantic.fields import FieldInfo

from raydgp.errors import InputError
from raydgp.settings import Settings, load, parsed

F = TypeVar("F", bound=Callable[..., Any])
M = TypeVar("M", bound=Settings)

_SECTION = "__"  # between a section and its key, in the names that click gives to the values


def show_log(_: click.Context, __: click.Parameter, wanted: bool) -> None:
    """Shows what the package logs on standard error."""
    logger = logging.getLogger("raydgp")
    if wanted and logger.level != logging.DEBUG:  # once, where it is given before and after the command
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)


verbose_option = click.option(
    "-v", "--verbose", is_flag=True, expose_value=False, callback=show_log, help="Show the log on standard error."
)


PROGRESS = "raydgp.progress"  # in the context: how progress is told


def _tell_progress(context: click.Context, _: click.Parameter, way: str) -> None:
    context.meta[PROGRESS] = way


progress_option = click.option(
    "--progress",
    type=click.Choice(["auto", "plain", "json", "quiet"]),
    default="auto",
    expose_value=False,
    callback=_tell_progress,
    help="How progress is told on standard error: live or, where that is no terminal, plain lines; lines of JSON; not "
    "at all.  [default: auto]",
)


def common_options(command: F) -> F:
    """--json and --verbose, which all commands have."""
    as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document for machines.")
    return as_json(verbose_option(command))


def settings_options(
    kind: type[Settings],
    *keys: str,
    flags: Mapping[str, str] | None = None,
    known: Mapping[str, Callable[[], Sequence[str]]] | None = None,
) -> Callable[[F], F]:
    """--config and an option for each of the keys.

    Args:
        keys: of the settings; `section.key` becomes `--section-key`.
        flags: other names of options, by key.
        known: by key, gives the names that are known, for help and completion.
    """

    def decorated(command: F) -> F:
        for key in reversed(keys):
            command = _option(kind, key, (flags or {}).get(key), (known or {}).get(key))(command)
        path = click.Path(path_type=Path)
        return click.option("--config", type=path, help="YAML file of settings; the options go over it.")(command)

    return decorated


def settings_of(kind: type[M], config: Path | None, given: Mapping[str, Any]) -> M:
    """The settings that a file and the values of `settings_options` make.

    Raises:
        InputError: as `raydgp.settings.load`.
    """
    overrides: dict[str, Any] = {}
    for name, value in given.items():
        *sections, key = name.split(_SECTION)
        at = overrides
        for section in sections:
            at = at.setdefault(section, {})
        at[key] = value
    return load(config, overrides, kind)


class _Names(click.ParamType):
    """A name of those that are known when it is asked for; the settings' own check is the one that refuses it."""

    name = "name"

    def __init__(self, known: Callable[[], Sequence[str]]) -> None:
        self._known = known

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{'|'.join(self._known())}]"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in self._known() if name.startswith(incomplete)]


class _Assignment(click.ParamType):
    """KEY=VALUE, the value as in YAML."""

    name = "KEY=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        key, equals, text = value.partition("=")
        if key and equals:
            with suppress(InputError):
                return key, parsed(text)
        return self.fail(f"{value!r} is not KEY=VALUE", param, ctx)


def _option(
    kind: type[Settings], key: str, flag: str | None, known: Callable[[], Sequence[str]] | None
) -> Callable[[F], F]:
    field, flag = _field(kind, key), flag or key.replace(".", "-").replace("_", "-")
    name, hint = key.replace(".", _SECTION), _type(field)
    shared: dict[str, Any] = {"default": None, "help": _help(field)}
    if hint is bool:
        return click.option(f"--{flag}/--no-{flag}", name, **shared)
    if hint is dict:
        return click.option(f"--{flag}", name, type=_Assignment(), multiple=True, callback=_mapping, **shared)
    if hint is list:
        return click.option(f"--{flag}", name, metavar="NAME,...", multiple=True, callback=_listed, **shared)
    numbers: dict[Any, Any] = {int: int, float: float, Path: click.Path(path_type=Path)}
    literals = get_args(hint) if get_origin(hint) is Literal else ()
    known = known or ((lambda: literals) if literals else None)
    return click.option(f"--{flag}", name, type=_Names(known) if known else numbers.get(hint, str), **shared)


def _field(kind: type[Settings], key: str) -> FieldInfo:
    *sections, name = key.split(".")
    model: Any = kind
    for section in sections:
        model = model.model_fields[section].annotation
    return model.model_fields[name]


def _type(field: FieldInfo) -> Any:
    """A field's type without None; `list` and `dict` without what they hold."""
    hint: Any = field.annotation
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(part for part in get_args(hint) if part is not types.NoneType)
    return get_origin(hint) if get_origin(hint) in (list, dict) else hint


def _help(field: FieldInfo) -> str:
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    said = isinstance(default, str | int | float | Path) and not isinstance(default, bool)
    return f"{field.description}{f'  [default: {default}]' if said else ''}"


def _mapping(_: click.Context, __: click.Parameter, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any] | None:
    return dict(pairs) or None


def _listed(_: click.Context, __: click.Parameter, texts: Sequence[str]) -> list[str] | None:
    """Names by commas, from all places where the option is given; None where it is not."""
    return [name.strip() for text in texts for name in text.split(",") if name.strip()] if texts else None
