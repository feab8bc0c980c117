"""Spaces of traced kernels: the open decisions of the schedules that come with them.

A workload's `sketches` are a JSON list. Each has a `trace` as TVM writes it down, [instructions, decisions], where the
latter are [[number of the instruction, decision], ...], those of the default; and `knobs`, one for each decision, in
the same order: a name, and one of `tile` (an extent, with the number of `parts` and the `widest` innermost one),
`choice` (values; the decision is one's number) and `place` (numbers of loops around a block; -1 is outside of all of
them, -2 is inlined).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raydgp.errors import MALFORMED, InputError
from raydgp.space import Columns, ConfigSpace, Knob, choice, split
from raydgp.targets import Target
from raydgp.templates.registry import register
from raydgp.workloads import TracedKernel

Trace = list[Any]

_INLINED = -2
_SPATIAL = 5  # parts of a tile on a GPU: blocks, virtual threads, threads, and two within a thread
_MAX_VTHREADS, _MIN_THREADS, _MAX_THREADS = 8, 32, 1024  # of a block; what TVM's verifier lets pass


def space(workload: TracedKernel, target: Target) -> ConfigSpace:
    """Knobs: `sketch`, where there are several or nothing is open, and one for each decision that is open in any.

    Decisions of one name with the same options are one knob of all sketches. A configuration is valid if the knobs
    that its sketch does not have are at their first option: so no schedule is there twice. On a GPU its tiles must also
    make a block of threads that can be; that memory is short is found when it is built.

    Raises:
        InputError: the sketches cannot be read, or have too many configurations to number.
    """
    sketches = _read(workload)
    knobs, first, several = _knobs(sketches), sketches[0], len(sketches) > 1
    default = {name: knob.labels[0] for name, knob in knobs.items()}
    for (name, decision), (_, made) in zip(first["knobs"].items(), first["trace"][1], strict=True):
        default[name] = _label(decision, made)

    def check(columns: Columns) -> NDArray[np.bool_]:
        n = len(next(iter(columns.values())))
        chosen = columns["sketch"][:, 0] if "sketch" in columns else np.zeros(n, np.int64)
        good = np.ones(n, bool)
        for name, knob in knobs.items():
            having = [number for number, sketch in enumerate(sketches) if name in sketch["knobs"]]
            if name != "sketch":
                good &= np.isin(chosen, having) | (columns[name] == knob.values[0]).all(axis=1)
        for number, sketch in enumerate(sketches):
            tiles = [columns[name] for name in sketch["knobs"] if knobs[name].width == _SPATIAL]
            if tiles:
                good &= (chosen != number) | _launchable(tiles)
        return good

    needed = several or any(knob.width == _SPATIAL for knob in knobs.values())
    return ConfigSpace(
        workload, target.kind, template_of(target.kind), list(knobs.values()), default, check if needed else None
    )


def template_of(kind: str) -> str:
    """The id of the template; its word is what traced kernels were called when the first records were written."""
    return f"{kind}.sketched.v1"


def _knobs(sketches: list[dict[str, Any]]) -> dict[str, Knob]:
    """All knobs by name, in order."""
    knobs: dict[str, Knob] = {}
    if len(sketches) > 1 or not sketches[0]["knobs"]:
        knobs["sketch"] = choice("sketch", range(len(sketches)))
    for sketch in sketches:
        knobs |= {name: _knob(name, decision) for name, decision in sketch["knobs"].items()}
    return knobs


def _launchable(tiles: list[NDArray[np.int64]]) -> NDArray[np.bool_]:
    """Whether a GPU can run blocks of these tiles: int64[n, 5] for each axis -> bool[n]."""
    _, vthreads, threads, _, _ = np.prod(tiles, axis=0).T
    return (vthreads <= _MAX_VTHREADS) & (threads >= _MIN_THREADS) & (threads <= _MAX_THREADS)


def decided(workload: TracedKernel, knobs: Mapping[str, Any]) -> Trace:
    """The trace of a configuration, with its decisions: TVM's JSON.

    Raises:
        InputError: the sketches cannot be read.
    """
    sketch = _read(workload)[knobs.get("sketch", 0)]
    instructions, decisions = sketch["trace"]
    made = [
        [at, _decision(decision, knobs[name])]
        for (at, _), (name, decision) in zip(decisions, sketch["knobs"].items(), strict=True)
    ]
    return [instructions, made]


def configuration(workload: TracedKernel, trace: Trace) -> dict[str, Any]:
    """Inverse of `decided`, for any trace: the knobs.

    Raises:
        InputError: none of the sketches has these instructions.
    """
    instructions, decisions = trace
    for number, sketch in enumerate(_read(workload)):
        if sketch["trace"][0] == instructions:
            made = zip(sketch["knobs"].items(), decisions, strict=True)
            own = {"sketch": number} | {name: _label(decision, value) for (name, decision), (_, value) in made}
            return {knob.name: own.get(knob.name, knob.labels[0]) for knob in _knobs(_read(workload)).values()}
    raise InputError("no schedule of ours has its instructions")


def _read(workload: TracedKernel) -> list[dict[str, Any]]:
    """The sketches, with the knobs as a dictionary by the names that they have in the space."""
    try:
        sketches = json.loads(workload.sketches)
        meanings: dict[str, Any] = {}
        for number, sketch in enumerate(sketches):
            named = {}
            for decision in sketch["knobs"]:
                name = decision.pop("name")
                shared = meanings.setdefault(name, decision) == decision
                named[name if shared else f"{name}_of_{number}"] = decision
            sketch["knobs"] = named
            if len(named) != len(sketch["trace"][1]):
                raise ValueError("there must be one knob for each decision")
        if not sketches:
            raise ValueError("there are none")
    except MALFORMED as error:
        raise InputError(f"{workload}: its sketches cannot be read: {error}") from None
    return list(sketches)


def _knob(name: str, decision: dict[str, Any]) -> Knob:
    if "tile" in decision:
        widest = decision["widest"]
        return split(name, decision["tile"], decision["parts"], lambda factors: factors[:, -1] <= widest)
    if "choice" in decision:
        return choice(name, decision["choice"])
    places = decision["place"]
    return Knob(name, np.array(places, np.int64)[:, None] - _INLINED, tuple(places))  # models take logarithms


def _label(decision: dict[str, Any], made: Any) -> Any:
    """What the knob calls a decision of the trace."""
    if "choice" in decision:
        return decision["choice"][made]
    return tuple(made) if isinstance(made, list) else made


def _decision(decision: dict[str, Any], label: Any) -> Any:
    """Inverse of `_label`."""
    if "choice" in decision:
        return decision["choice"].index(label)
    return list(label) if isinstance(label, tuple) else label


for _kind in ("llvm", "cuda"):
    register(
        target=_kind,
        workload=TracedKernel,
        space=space,
        schedules={template_of(_kind): "raydgp.templates.traced.schedule:TracedTemplate"},
    )
