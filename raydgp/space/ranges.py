"""Ranges of numbers as so many options: evenly spaced, or evenly in their logarithm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from raydgp.errors import InputError

_MOST_STEPS = 1001
_FEWEST_STEPS = 3
_MOST_CONFIGURATIONS = 2**62


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both among them.

    Attributes:
        steps: how many options; 0 where there is room to decide, see `with_steps`.
        scale: whether the options are evenly spaced, or their logarithms are.
    """

    low: float
    high: float
    steps: int = 0
    scale: Literal["linear", "log"] = "linear"

    @classmethod
    def of(cls, name: str, given: tuple[Any, ...]) -> Range:
        """The range (low, high) of fractions of a parameter.

        Raises:
            InputError: it is something else.
        """
        numbers = all(isinstance(x, int | float | np.number) and not isinstance(x, bool) for x in given)
        if len(given) != 2 or not numbers or not all(map(math.isfinite, given)):
            raise InputError(f"parameter {name!r}: a range is (low, high), two numbers; options are a list [...]")
        if all(isinstance(x, int) for x in given):
            raise InputError(
                f"parameter {name!r}: a range is of fractions, ({given[0]}.0, {given[1]}.0); whole numbers are a list, "
                f"list(range({given[0]}, {given[1] + 1}))"
            )
        if not given[0] < given[1]:
            raise InputError(f"parameter {name!r}: {given[0]} is not below {given[1]}; a range is (low, high)")
        return cls(float(given[0]), float(given[1]))

    @classmethod
    def read(cls, options: Any) -> Any:
        """Inverse of `to_dict`; a list of options as it is."""
        return cls(**options) if isinstance(options, dict) else options

    @staticmethod
    def with_steps(options: Mapping[str, list[Any] | Range]) -> dict[str, list[Any] | Range]:
        """Options with the ranges' steps chosen: an odd number, as fine as 64-bit numbers of configurations allow.

        Raises:
            InputError: they do not allow three options of each range.
        """
        sizes = [each.steps or 1 if isinstance(each, Range) else len(each) for each in options.values()]
        room = _MOST_CONFIGURATIONS // math.prod(sizes)
        free = sum(isinstance(each, Range) and not each.steps for each in options.values())
        if not free:
            return dict(options)
        steps = min(_MOST_STEPS, int(room ** (1 / free)))
        steps -= 1 - steps % 2
        if steps < _FEWEST_STEPS:
            raise InputError(
                f"parameters: {free} ranges beside {math.prod(sizes):.1e} other configurations are too many; give lists"
            )
        return {
            name: replace(each, steps=steps) if isinstance(each, Range) and not each.steps else each
            for name, each in options.items()
        }

    def values(self) -> NDArray[np.float64]:
        """The options: float64[steps]."""
        if self.scale == "log":
            values = np.exp(np.linspace(math.log(self.low), math.log(self.high), self.steps))
        else:
            values = np.linspace(self.low, self.high, self.steps)
        values[0], values[-1] = self.low, self.high
        return values

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return vars(self)
