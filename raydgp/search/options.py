"""The options of a strategy are the keyword-only arguments of its class, checked by their annotations."""

from __future__ import annotations

import inspect
from typing import Annotated, Any, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from raydgp.errors import InputError, nearest
from raydgp.search.bookkeeping import BookkeepingStrategy

Fraction = Annotated[float, Field(ge=0, le=1)]


def known(strategy: type[BookkeepingStrategy]) -> dict[str, Any]:
    """Type of each option by name, those of the base classes that it hands on included."""
    options: dict[str, Any] = {}
    for cls in strategy.__mro__:
        init = cls.__dict__.get("__init__")
        if init is None:
            continue
        hints = get_type_hints(init, include_extras=True)
        parameters = inspect.signature(init).parameters.values()
        options.update({p.name: hints[p.name] for p in parameters if p.kind is p.KEYWORD_ONLY})
        if all(p.kind is not p.VAR_KEYWORD for p in parameters):
            break
    return options


def checked(strategy: type[BookkeepingStrategy], given: dict[str, Any]) -> dict[str, Any]:
    """The options with their preset laid out and every value of its type.

    Raises:
        InputError: unknown option or preset, wrong type or value.
    """
    types, given = known(strategy), dict(given)
    preset = given.pop("preset", None)
    if preset is not None and preset not in strategy.presets:
        raise InputError(f"strategy {strategy.name} has no preset {preset!r}{nearest(preset, strategy.presets)}")
    for name in given:
        if name not in types:
            raise InputError(f"strategy {strategy.name} has no option {name!r}{nearest(name, [*types, 'preset'])}")
    options = strategy.presets[preset] | given if preset else given
    return {name: _checked(f"{strategy.name}: {name}", types[name], value) for name, value in options.items()}


def _checked(where: str, annotation: Any, value: Any) -> Any:
    try:
        return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
    except ValidationError as error:
        message = error.errors()[0]["msg"]
        raise InputError(f"option {where}: {message[0].lower()}{message[1:]}, not {value!r}") from None
