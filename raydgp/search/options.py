"""The options of strategies: one pydantic model each, whose defaults are the values of its paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from raydgp.errors import InputError, nearest

Fraction = Annotated[float, Field(ge=0, le=1)]


class Options(BaseModel):
    """What a strategy can be told. A strategy with options derives a model of its own, each field with a description.

    Attributes:
        presets: named sets of options; `small` is meant for budgets of about 64 measurements and two cores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"small": {}}


def checked(strategy: str, model: type[Options], given: Mapping[str, Any]) -> Options:
    """The options of a strategy with their preset laid out and every value of its type.

    Raises:
        InputError: unknown option or preset, wrong type or value; one line that names the nearest.
    """
    given = dict(given)
    preset = given.pop("preset", None)
    if preset is not None and preset not in list(model.presets):
        raise InputError(f"strategy {strategy} has no preset {preset!r}{nearest(preset, model.presets)}")
    for name in given:
        if name not in model.model_fields:
            raise InputError(
                f"strategy {strategy} has no option {name!r}{nearest(name, [*model.model_fields, 'preset'])}"
            )
    laid_out = {} if preset is None else model.presets[preset]
    try:
        return model.model_validate({**laid_out, **given})
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        cause = fault.get("ctx", {}).get("error")
        if isinstance(cause, InputError):
            raise InputError(f"option {strategy}: {where}: {cause}") from None
        message = f"{fault['msg'][0].lower()}{fault['msg'][1:]}, not {fault['input']!r}"
        raise InputError(f"option {strategy}: {where}: {message}") from None
