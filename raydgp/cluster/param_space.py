"""The search space of Ray Tune's users, `tune.choice`, `tune.uniform` and the like, as a space of ours."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from ray.tune.search.sample import Categorical, Domain, Float, Integer, LogUniform, Quantized, Uniform
from ray.tune.search.variant_generator import parse_spec_vars
from ray.tune.utils import flatten_dict

from raydgp.errors import InputError
from raydgp.space import ConfigSpace, Indices, parameters
from raydgp.space.parametric import plain
from raydgp.space.ranges import Range

_MOST_OPTIONS = 1001  # of a range of whole numbers
_TUNE = "tune.choice, randint, uniform, their log and q forms, and grid_search"

Path = tuple[Any, ...]


class ParamSpace:
    """A space of ours for a `param_space` of Tune, and the way between configurations of both.

    A range is tried in even steps, at most 1001 of them, or in even steps of its logarithm. Constants are left to Tune.
    `grid_search` is a choice like any other.

    Attributes:
        space: of the parameters, named by their path, `outer/inner`.

    Raises:
        InputError: nothing in it to search, or a distribution that has no space.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        _, domains, grids = parse_spec_vars(dict(config))
        found = [(path, options_of(_name(path), domain)) for path, domain in domains]
        found += [(path, list(values)) for path, values in grids]
        if not found:
            raise InputError(f"param_space has nothing to search; give {_TUNE}")
        for path, _ in found:
            if any(not isinstance(part, str) for part in path):
                raise InputError(f"param_space: {_name(path)} is within a list; give each a name of its own")
        self._paths: dict[str, Path] = {_name(path): path for path, _ in found}
        self._values = {_name(path): options for path, options in found}
        self.space: ConfigSpace = parameters({name: plain(options) for name, options in self._values.items()})
        self._exact: dict[int, dict[str, Any]] = {}  # numbers of points that a user gave, which need not be steps

    def config(self, index: int) -> dict[str, Any]:
        """The configuration as Tune nests it."""
        exact = self._exact.get(index, {})
        out: dict[str, Any] = {}
        digits = self.space.digits([index])[0]
        for (name, path), knob, digit in zip(self._paths.items(), self.space.knobs, digits, strict=True):
            options = self._values[name]
            value = exact.get(name, knob.labels[digit] if isinstance(options, Range) else options[digit])
            inner = out
            for part in path[:-1]:
                inner = inner.setdefault(part, {})
            inner[path[-1]] = copy.deepcopy(value)
        return out

    def index(self, point: Mapping[str, Any]) -> int:
        """The configuration of a point, nested or named by paths: the nearest options, and the point itself for Tune.

        Raises:
            InputError: a parameter is missing or unknown, or has no such option.
        """
        given = flatten_dict(dict(point), prevent_delimiter=False)
        if set(given) != set(self._paths):
            odd = ", ".join(sorted(set(given) ^ set(self._paths)))
            known = ", ".join(self._paths)
            raise InputError(f"points_to_evaluate: {odd} missing or unknown; the parameters are {known}")
        digits = [self._digit(knob.name, knob.labels, given[knob.name]) for knob in self.space.knobs]
        index = int(self.space.from_digits(np.array([digits]))[0])
        ranges = {name for name, options in self._values.items() if isinstance(options, Range | _Numbers)}
        self._exact[index] = {name: np.asarray(given[name]).item() for name in ranges}
        return index

    def _digit(self, name: str, labels: tuple[Any, ...], value: Any) -> int:
        options = self._values[name]
        if isinstance(options, Range | _Numbers):
            if isinstance(value, bool) or not isinstance(value, int | float | np.number):
                raise InputError(f"points_to_evaluate: {name} is a number, not {value!r}")
            if not labels[0] <= value <= labels[-1]:
                raise InputError(f"points_to_evaluate: {name}={value!r} is outside of {labels[0]} to {labels[-1]}")
            return int(np.abs(np.array(labels) - value).argmin())
        for digit, option in enumerate(options):
            if type(option) is type(value) and option == value:
                return digit
        raise InputError(f"points_to_evaluate: {name} has no option {value!r}; give one of {options}")

    def points(self) -> list[list[Any]]:
        """What of the given points lies beside the steps of ranges, JSON-able."""
        return [[index, given] for index, given in self._exact.items()]

    def restore(self, points: list[list[Any]]) -> None:
        """Takes up what `points` gave."""
        self._exact = {int(index): given for index, given in points}


class _Numbers(list[Any]):
    """Options that stand for a range of numbers."""


def options_of(name: str, domain: Domain) -> list[Any] | Range:
    """The options of a distribution: a list, or a range whose steps are to be chosen.

    Raises:
        InputError: it has no bounds, or is a function.
    """
    sampler: Any = domain.get_sampler()
    step = None
    if isinstance(sampler, Quantized):
        sampler, step = sampler.sampler, sampler.q
    if isinstance(domain, Categorical):
        return list(domain.categories)
    if not isinstance(domain, Float | Integer) or not isinstance(sampler, Uniform | LogUniform):
        raise InputError(f"param_space: {name}={domain!r} has no options to choose from; give {_TUNE}")
    log = isinstance(sampler, LogUniform)
    low, high = domain.lower, domain.upper
    if isinstance(domain, Float) and step is None:
        return Range(low, high, scale="log" if log else "linear") if low < high else [low]
    step = step or 1
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    if isinstance(domain, Integer) and step == 1:
        last -= 1  # Tune's randint leaves its upper bound out
    if first > last:
        raise InputError(f"param_space: {name} has no multiple of {step} from {low} to {high}; widen it")
    counts = _spread(first, last, log)
    if isinstance(domain, Integer):
        return _Numbers(int(count * step) for count in counts.tolist())
    return _Numbers(float(round(count * step, 12)) for count in counts.tolist())


def _spread(first: int, last: int, log: bool) -> Indices:
    """Whole numbers from first to last, all of them or so many that are evenly spread."""
    if last - first < _MOST_OPTIONS:
        return np.arange(first, last + 1)
    space = np.geomspace(max(first, 1), last, _MOST_OPTIONS) if log else np.linspace(first, last, _MOST_OPTIONS)
    return np.unique(np.round(space).astype(np.int64))


def _name(path: Path) -> str:
    return "/".join(map(str, path))
