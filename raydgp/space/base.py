"""Configuration spaces: an ordered set of knobs, addressed by one whole number, every operation on arrays.

An index is the mixed-radix number of the knobs' options, first knob least significant, as in AutoTVM, so that its
logs and ours speak of the same configurations.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raydgp.errors import InputError
from raydgp.space.knobs import Knob
from raydgp.space.nearest import nearest_valid
from raydgp.workloads import Workload

Indices = NDArray[np.int64]
Columns = dict[str, NDArray[Any]]

_CHUNK = 1 << 16  # rows worked on at a time: the columns of a chunk stay in the cache
_ENUMERABLE = 1 << 20  # spaces up to this size are enumerated rather than sampled by rejection
_MAX_DRAWS = 1 << 24  # after so many, what is still missing is too rare


class ConfigSpace:
    """The schedules of one workload on one target.

    Args:
        workload: what is scheduled.
        target: kind of target, `cuda` or `llvm`.
        template: name and version of the schedule template that gives the knobs their meaning.
        knobs: the decisions, in order.
        default: knob values of the configuration that is measured first, in the form `decode` returns; if it is not
            valid, the nearest that is takes its place, where there is one.
        check: static validity: `{name: int64[n, width]} -> bool[n]`; None when every configuration is valid.

    Raises:
        InputError: more configurations than an int64 can number.
    """

    def __init__(
        self,
        workload: Workload,
        target: str,
        template: str,
        knobs: Sequence[Knob],
        default: Mapping[str, Any],
        check: Callable[[Columns], NDArray[np.bool_]] | None = None,
    ) -> None:
        self.workload = workload
        self.target = target
        self.template = template
        self.knobs = tuple(knobs)
        self.radix = np.array([knob.size for knob in self.knobs], np.int64)
        self.size = prod(int(size) for size in self.radix)
        if self.size > np.iinfo(np.int64).max:
            raise InputError(
                f"{template}: {self.size:.1e} configurations of {workload} are too many; give fewer options"
            )
        self._place = np.array([prod(self.radix[:k].tolist()) for k in range(len(self.knobs))], np.int64)
        self._check = check
        self.default = self.encode(default)
        if not self.valid([self.default])[0]:
            broken = self.digits([self.default])[0]
            nearest = nearest_valid(self.knobs, broken, lambda digits: self.valid(self.from_digits(digits)))
            self.default = int(self.from_digits(nearest[None])[0])

    def __repr__(self) -> str:
        return f"ConfigSpace({self.template}, {self.workload}, size={self.size})"

    @cached_property
    def hash(self) -> str:
        """Identity of the space, 16 hexadecimal digits: template, workload, target and every option of every knob."""
        content: list[Any] = [self.template, self.workload.to_dict(), self.target]
        content += [[k.name, k.values.tolist(), [str(label) for label in k.labels]] for k in self.knobs]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    def restricted(self, options: Mapping[str, Sequence[Any]]) -> ConfigSpace:
        """The sub-space in which some knobs have fewer options, in this space's order; it has indices of its own.

        Args:
            options: knob name -> the options it keeps, as `decode` gives them or as JSON has made lists of them. Where
                the default's is not among them, the first one is the sub-space's default.

        Raises:
            InputError: an unknown knob or option, or none is kept.
        """
        default = self.decode(self.default)
        known = {knob.name: knob for knob in self.knobs}
        for name, given in options.items():
            kept = [tuple(option) if isinstance(option, list) else option for option in given]
            if name not in known:
                raise InputError(f"{self.template}: unknown knob {name!r}; the knobs are {', '.join(known)}")
            strange = [option for option in kept if option not in known[name].labels]
            if strange or not kept:
                raise InputError(f"{self.template}: {name} has no option {strange}; give at least one that it has")
            if default[name] not in kept:
                default[name] = kept[0]
            known[name] = known[name].only([label in kept for label in known[name].labels])
        return ConfigSpace(self.workload, self.target, self.template, list(known.values()), default, self._check)

    def taken_for(self, workload: Workload) -> ConfigSpace:
        """The same knobs, template and check for another workload."""
        default = self.decode(self.default)
        return ConfigSpace(workload, self.target, self.template, self.knobs, default, self._check)

    # --- index <-> knobs

    def digits(self, indices: ArrayLike) -> NDArray[np.int64]:
        """Option number of each knob: int64[n] -> int64[n, knobs].

        Raises:
            InputError: an index outside of the space.
        """
        rest = np.asarray(indices, np.int64)
        if rest.size and (rest.min() < 0 or rest.max() >= self.size):
            raise InputError(f"index outside of 0..{self.size - 1} of {self.template}: this is another space's index")
        out = np.empty((len(rest), len(self.knobs)), np.int64)
        for k, size in enumerate(self.radix):
            rest, out[:, k] = np.divmod(rest, size)
        return out

    def from_digits(self, digits: NDArray[np.int64]) -> Indices:
        """Inverse of `digits`: int64[n, knobs] -> int64[n]."""
        return digits @ self._place

    def decode(self, index: int) -> dict[str, Any]:
        """Knob values of one configuration, splits as tuples of factors."""
        digits = self.digits([index])[0]
        return {knob.name: knob.labels[d] for knob, d in zip(self.knobs, digits, strict=True)}

    def encode(self, knobs: Mapping[str, Any]) -> int:
        """Inverse of `decode`; lists are taken for tuples.

        Raises:
            InputError: a knob is missing or unknown, or has no such option.
        """
        names = [knob.name for knob in self.knobs]
        if set(knobs) != set(names):
            odd = sorted(set(knobs) ^ set(names))
            raise InputError(f"{self.template}: knobs {odd} are missing or unknown; the knobs are {', '.join(names)}")
        digits = []
        for knob in self.knobs:
            value = tuple(knobs[knob.name]) if isinstance(knobs[knob.name], list) else knobs[knob.name]
            if value not in knob.labels:
                raise InputError(f"{self.template}: {knob.name} has no option {value!r}")
            digits.append(knob.labels.index(value))
        return int(self.from_digits(np.array([digits]))[0])

    def columns(self, indices: ArrayLike) -> Columns:
        """Knob values as arrays: int64[n] -> {name: int64[n, width]}."""
        digits = self.digits(indices)
        return {knob.name: knob.values[digits[:, k]] for k, knob in enumerate(self.knobs)}

    # --- what models see

    @property
    def feature_names(self) -> list[str]:
        """Names of the feature columns, see `Knob.seen_names`."""
        return [name for knob in self.knobs for name in knob.seen_names]

    @cached_property
    def _feature_tables(self) -> list[NDArray[np.float32]]:
        return [knob.seen for knob in self.knobs]

    def features(self, indices: ArrayLike) -> NDArray[np.float32]:
        """Real factors and choice values side by side, or what a knob has in place of them: int64[n] -> float32[n, d].

        AutoTVM stores -1 for the first factor of each split; here it is the real one (docs/facts.md, AutoTVM features).
        """
        digits = self.digits(indices)
        return np.concatenate([t[digits[:, k]] for k, t in enumerate(self._feature_tables)], axis=1)

    # --- validity

    def valid(self, indices: ArrayLike) -> NDArray[np.bool_]:
        """Static check, arithmetic only: int64[n] -> bool[n]. False: it cannot run, or not from registers."""
        indices = np.asarray(indices, np.int64)
        if self._check is None:
            return np.ones(len(indices), bool)
        parts = [self._check(self.columns(indices[i : i + _CHUNK])) for i in range(0, len(indices), _CHUNK)]
        return np.concatenate(parts) if parts else np.zeros(0, bool)

    # --- sampling and moving

    def sample(self, n: int, rng: np.random.Generator) -> Indices:
        """Uniform draws without repetition: int64[min(n, size)], valid or not."""
        return rng.choice(self.size, size=min(n, self.size), replace=False).astype(np.int64)

    def sample_valid(self, n: int, rng: np.random.Generator) -> Indices:
        """Uniform draws without repetition from the valid ones: int64[<= n], fewer if they are fewer or very rare."""
        if self.size <= max(_ENUMERABLE, 4 * n):
            everything = np.arange(self.size)
            return rng.permutation(everything[self.valid(everything)])[:n]
        found = np.zeros(0, np.int64)
        drawn = 0
        while len(found) < n and drawn < min(self.size, _MAX_DRAWS):
            draw = rng.integers(self.size, size=2 * n + 64)
            drawn += len(draw)
            pool = np.concatenate([found, draw[self.valid(draw)]])
            _, first = np.unique(pool, return_index=True)
            found = pool[np.sort(first)]  # the order of drawing is kept, so that the first n are uniform
        return found[:n]

    def neighbours(self, index: int, radius: float) -> Indices:
        """Configurations within `radius` of one: int64[n], ascending, without itself.

        The distance is Euclidean between option numbers, so that one step of any knob counts one
        (docs/facts.md, BTED + BAO).
        """
        centre = self.digits([index])[0]
        offsets = np.zeros((1, 0), np.int64)
        squares = np.zeros(1, np.int64)
        reach = int(radius)
        for c, size in zip(centre, self.radix, strict=True):
            steps = np.arange(max(-reach, -c), min(reach, size - 1 - c) + 1)
            total = squares[:, None] + steps**2
            row, column = np.nonzero(total <= radius**2)
            offsets = np.concatenate([offsets[row], steps[column, None]], axis=1)
            squares = total[row, column]
        return np.sort(self.from_digits(centre + offsets[squares > 0]))

    def random_walk(self, indices: Indices, rng: np.random.Generator) -> Indices:
        """AutoTVM's move for each of int64[n]: one random knob gets another of its options.

        The move is described in docs/facts.md, AutoTVM spaces.
        """
        digits = self.digits(indices)
        movable = np.flatnonzero(self.radix > 1)
        if not len(movable):
            return np.array(indices, np.int64)
        rows = np.arange(len(digits))
        knob = rng.choice(movable, size=len(digits))
        shift = rng.integers(1, self.radix[knob])
        digits[rows, knob] = (digits[rows, knob] + shift) % self.radix[knob]
        return self.from_digits(digits)
