"""Spaces of anything that has parameters: whole numbers, fractions, names and flags, and which of them go together."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raydgp.errors import InputError
from raydgp.space import array_functions, restrictions
from raydgp.space.array_functions import ArrayFunction
from raydgp.space.base import Columns, ConfigSpace, Indices
from raydgp.space.knobs import Knob
from raydgp.space.ranges import Range
from raydgp.targets.kinds import FUNCTION
from raydgp.workloads import Parametric
from raydgp.workloads.parametric import UNKNOWN_OPERATIONS

TEMPLATE = "parameters.v1"
_LARGEST = 2**63 - 1


Options = Sequence[Any] | tuple[float, float] | Range


def parameters(
    options: Mapping[str, Options],
    restrictions: Sequence[str | ArrayFunction] = (),
    name: str = "function",
    operations: int = UNKNOWN_OPERATIONS,
) -> ConfigSpace:
    """The space of a function, a program or a kernel by its parameters.

    `raydgp.space.parameters({"block": [16, 32, 64], "layout": ["NHWC", "NCHW"], "alpha": (0.0, 1.0)}, ["block < 64"])`

    Models see whole numbers as they are, powers of two by their logarithm, fractions by their place in the range, flags
    as 0 and 1, and names as one column each. The configuration measured first has the first option of each parameter
    and the middle of each range, or is the nearest one that is allowed.

    Args:
        options: by parameter, in order: a list of whole numbers, fractions, flags or names, or (low, high), a range of
            fractions, of which evenly spaced ones are tried.
        restrictions: a configuration is valid where all of them hold: expressions such as `"block * tile <= 1024"`, or
            functions of arrays [n] by parameter that give bool[n].
        name: of what is tuned.
        operations: floating-point operations of one call, for GFLOPS; 10^9 where they are not known, so that GFLOPS are
            calls a second.

    Raises:
        InputError: a parameter without options, options of a kind that is not known, a restriction that is wrong, too
            many configurations, or none that is allowed.
    """
    if not isinstance(options, Mapping) or not options:
        raise InputError(f"parameters: give a mapping of names to options, not {options!r}")
    if isinstance(restrictions, str) or not isinstance(restrictions, Sequence):
        raise InputError(f"restrictions: give a list of them, not {restrictions!r}")
    for parameter in options:
        if not isinstance(parameter, str) or not parameter:
            raise InputError(f"parameters: a name is a text, not {parameter!r}")
    checked = {parameter: _checked(parameter, given) for parameter, given in options.items()}
    resolved = Range.with_steps(checked)
    workload = Parametric(
        name=name,
        parameters=json.dumps({k: v.to_dict() if isinstance(v, Range) else v for k, v in resolved.items()}),
        restrictions=tuple(_named(each) for each in restrictions),
        operations=operations,
    )
    return parameter_space(workload)


def parameter_space(workload: Parametric, target: str = FUNCTION, only: Indices | None = None) -> ConfigSpace:
    """The space that a workload describes.

    Args:
        only: the valid configurations, where they are known one by one, in place of its restrictions.

    Raises:
        InputError: as of `parameters`.
    """
    knobs = [_knob(name, Range.read(options)) for name, options in workload.options.items()]
    first = {knob.name: knob.labels[_usual(workload.options[knob.name], knob)] for knob in knobs}
    if only is not None:
        return ConfigSpace(workload, target, TEMPLATE, knobs, first, _among(knobs, np.sort(only)))
    space = ConfigSpace(workload, target, TEMPLATE, knobs, first, _check(knobs, workload.restrictions))
    if not space.valid([space.default])[0]:
        found = space.sample_valid(1, np.random.default_rng(0))
        if not len(found):
            raise InputError(f"restrictions: none of {space.size} configurations of {workload.name} keeps all of them")
        space.default = int(found[0])
    return space


def _checked(name: str, options: Any) -> list[Any] | Range:
    """Options as JSON has them."""
    if isinstance(options, Range):
        return options
    if isinstance(options, tuple):
        return Range.of(name, options)
    if isinstance(options, str) or not isinstance(options, Sequence | np.ndarray | range):
        raise InputError(f"parameter {name!r}: give a list of options or a range (low, high), not {options!r}")
    values = [value.item() if isinstance(value, np.generic) else value for value in options]
    if not values:
        raise InputError(f"parameter {name!r} has no options; give at least one")
    for value in values:
        if not isinstance(value, bool | int | float | str) or (isinstance(value, float) and not math.isfinite(value)):
            raise InputError(f"parameter {name!r}: {value!r} is no whole number, finite fraction, text or flag")
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise InputError(f"parameter {name!r}: {value!r:.100} has more than 64 bits")
    if len({(isinstance(value, bool), value) for value in values}) < len(values):
        raise InputError(f"parameter {name!r}: an option is there twice in {values!r}; give each once")
    return values


def plain(options: Any) -> Any:
    """Options of any kind as a space can have them: what is no number, flag or text by its place and its looks."""
    if isinstance(options, Range):
        return options
    try:
        return _checked("", list(options))
    except InputError:
        return [f"{place}: {option!r}"[:80] for place, option in enumerate(options)]


def _named(given: Any) -> str:
    if isinstance(given, str):
        return given
    if not callable(given):
        raise InputError(f"restriction {given!r}: give an expression as text, or a function of arrays")
    return array_functions.named(given)


def _usual(given: Any, knob: Knob) -> int:
    """The option that the first measured configuration has."""
    return knob.size // 2 if isinstance(given, dict) else 0


# --- knobs and what models see of them


def _knob(name: str, options: list[Any] | Range) -> Knob:
    if isinstance(options, Range):
        values, place = options.values(), np.linspace(-0.5, 0.5, options.steps)
        return Knob(name, values[:, None], tuple(values.tolist()), place[:, None].astype(np.float32), ("",))
    labels = tuple(options)
    if any(isinstance(label, str) for label in labels) or len({isinstance(label, bool) for label in labels}) > 1:
        return _names(name, labels)
    values = np.array(labels, np.int64 if all(isinstance(label, int) for label in labels) else np.float64)
    return Knob(name, values[:, None], labels, _seen(values)[:, None], ("",))


def _names(name: str, labels: tuple[Any, ...]) -> Knob:
    """One column for each name."""
    columns = np.eye(len(labels), dtype=np.float32)
    return Knob(name, np.arange(len(labels))[:, None], labels, columns, tuple(f"={label}" for label in labels))


def _seen(values: NDArray[Any]) -> NDArray[np.float32]:
    """Numbers as models see them, none below -1/2, for models take the logarithm of 1 + x."""
    if values.dtype == np.int64 and len(values) > 1 and (values > 0).all() and (values & (values - 1) == 0).all():
        return np.log2(values).astype(np.float32)
    if values.dtype == np.int64 and values.min() >= 0:
        return values.astype(np.float32)
    spread = float(values.max() - values.min()) or 1.0
    return ((values - values.min()) / spread - 0.5).astype(np.float32)


# --- validity


def _check(knobs: Sequence[Knob], texts: Sequence[str]) -> Any:
    names = [knob.name for knob in knobs]
    parsed = [
        array_functions.restriction(text)
        if text.startswith(array_functions.PREFIX)
        else restrictions.parse(text, names)
        for text in texts
    ]
    if not parsed:
        return None
    told = {knob.name: _labels(knob) for knob in knobs}

    def allowed(columns: Columns) -> NDArray[np.bool_]:
        said = {name: column[:, 0] for name, column in columns.items()}
        said |= {name: labels[said[name]] for name, labels in told.items() if labels is not None}
        out = parsed[0](said)
        for each in parsed[1:]:
            out = out & each(said)
        return out

    return allowed


def _labels(knob: Knob) -> NDArray[Any] | None:
    """What restrictions see where the values are but numbers of options: the labels."""
    if all(isinstance(label, bool) for label in knob.labels):
        return np.arange(2) > 0
    if not any(isinstance(label, str) for label in knob.labels):
        return None
    if all(isinstance(label, str) for label in knob.labels):
        return np.array(knob.labels)
    return np.array(knob.labels, object)


def _among(knobs: Sequence[Knob], known: Indices) -> Any:
    """Valid is what is known, found by its values: a sub-space numbers its configurations anew."""
    orders = {knob.name: np.argsort(knob.values[:, 0], kind="stable") for knob in knobs}
    places = {knob.name: math.prod(k.size for k in knobs[:at]) for at, knob in enumerate(knobs)}
    sorted_values = {knob.name: knob.values[orders[knob.name], 0] for knob in knobs}

    def allowed(columns: Columns) -> NDArray[np.bool_]:
        index = sum(
            orders[name][np.searchsorted(sorted_values[name], column[:, 0])] * places[name]
            for name, column in columns.items()
        )
        at = np.minimum(np.searchsorted(known, index), len(known) - 1)
        return np.asarray(known[at] == index)

    return allowed
