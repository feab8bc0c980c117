"""Sub-spaces small enough to be measured as a whole, spread over the full one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from raydgp.errors import InputError
from raydgp.space.base import ConfigSpace

_SAMPLE = 8192
_ENOUGH = 100


def fix(space: ConfigSpace, assignments: Sequence[str]) -> ConfigSpace:
    """The sub-space in which knobs have one option each, given as `knob=option`, the option as it is printed.

    Raises:
        InputError: not of that form, or an unknown knob or option.
    """
    labels = {knob.name: {str(label): label for label in knob.labels} for knob in space.knobs}
    kept: dict[str, list[Any]] = {}
    for assignment in assignments:
        name, _, option = assignment.partition("=")
        if option not in labels.get(name, {}):
            known = ", ".join(labels[name]) if name in labels else f"KNOB=OPTION with a knob of {', '.join(labels)}"
            raise InputError(f"{space.template}: cannot fix {assignment!r}; choose from: {known}")
        kept[name] = [labels[name][option]]
    return space.restricted(kept)


def thinned(space: ConfigSpace, valid: int) -> ConfigSpace:
    """The sub-space with at most `valid` statically valid configurations that keeps its knobs as rich as it can.

    The knob with the most options loses one at a time; what stays is spread evenly over its order, with both ends and
    the default's option. So every knob still matters, and the sub-space's shape is the full one's, coarser.
    """
    default = space.decode(space.default)
    labels = {knob.name: list(knob.labels) for knob in space.knobs}
    sizes = {name: len(options) for name, options in labels.items()}
    thin = space
    while _has_more_valid(thin, valid):
        widest = max(sizes, key=lambda name: sizes[name])
        sizes[widest] -= 1
        kept = {name: _spread(labels[name], sizes[name], default[name]) for name in labels}
        thin = space.restricted(kept)
    return thin


def _has_more_valid(space: ConfigSpace, most: int) -> bool:
    """Whether a space has more valid configurations: counted, unless a sample shows it at a tenth of the time.

    A sample counts where it finds enough valid ones to be within a half of the truth in all but one of 10^5 cases, and
    says twice as many.
    """
    if space.size > 1 << 20:
        return True
    if space.size > 4 * _SAMPLE:
        valid = int(space.valid(np.random.default_rng(0).integers(space.size, size=_SAMPLE)).sum())
        if valid > _ENOUGH and valid / _SAMPLE * space.size > 2 * most:
            return True
    return int(space.valid(np.arange(space.size)).sum()) > most


def _spread(options: list[Any], count: int, needed: Any) -> list[Any]:
    """`count` options at even distances, the one nearest to `needed` moved onto it."""
    picks = np.unique(np.linspace(0, len(options) - 1, count).round().astype(int))
    at = options.index(needed)
    picks[np.abs(picks - at).argmin()] = at
    return [options[i] for i in np.unique(picks)]
