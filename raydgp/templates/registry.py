"""Which template makes the space of a workload on a kind of target, and which one gives a space its meaning."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from raydgp.errors import InputError, nearest
from raydgp.registry import Registry, resolve
from raydgp.space import Columns, ConfigSpace
from raydgp.targets import Target
from raydgp.workloads import Workload

if TYPE_CHECKING:
    from raydgp.templates.base import Template

Space = Callable[[Any, Target], ConfigSpace]
Features = Callable[[Any, Columns], dict[str, NDArray[np.float64]]]

_BUILT_IN = ("raydgp.templates.llvm", "raydgp.templates.cuda", "raydgp.templates.traced")
_METHODS = ("schedule", "pack", "out_shape", "unpack")
_FOR_LAYERS = ("compute", "scheduled", "pack_weight", "pack_bias")


@dataclass(frozen=True, kw_only=True)
class Layers:
    """How a template serves the layers of a model, by a schedule that is a `LayerTemplate`.

    Without arguments all arrays are plain. Otherwise activations are in blocks of channels; a knob fixes a block by its
    last two factors.

    Attributes:
        blocks: (anchor, channels of a block that its data has, 1 where it is plain, target) -> channels of a block of
            what the kernel reads and of what it writes; None where all arrays are plain.
        read: the knob of the blocks that are read; empty where none fixes them.
        written: the knob of the blocks that are written; empty where none fixes them.
        reads_plain: whether the kernel can block plain data while it reads them.
        stored: (anchor, channels of a block that is read) -> the anchor of all channels that the blocks hold, whose
            space it is; None where whole blocks are needed.
    """

    blocks: Callable[[Any, int, Target], tuple[int, int]] | None = None
    read: str = ""
    written: str = ""
    reads_plain: bool = True
    stored: Callable[[Any, int], Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What one call of `register` has said; see there."""

    target: str
    workload: type[Workload]
    algorithm: str
    space: Space
    schedules: Mapping[str, str | type]
    features: Features | None
    layers: Layers | None


_SCHEDULES: dict[str, str | type] = {  # of spaces that no call of `register` has made
    "tvm.plain.v1": "raydgp.templates.plain:Plain",
    "tvm.given.v1": "raydgp.templates.plain:Given",
}
_TEMPLATES: Registry[Entry] = Registry("template", "raydgp.templates")


def register(
    *,
    target: str,
    workload: type[Workload],
    space: Space,
    schedules: Mapping[str, str | type],
    algorithm: str = "direct",
    features: Features | None = None,
    layers: Layers | None = None,
) -> None:
    """Declares a template: from now on `config_space` gives its space, and its kernels can be built and measured.

    Args:
        target: name of the kind of target.
        workload: class of the operator.
        space: (workload, Target) -> its space, with numpy alone; InputError where the template does not serve it.
        schedules: for each id that the space may have as its `template`, the class of a
            `raydgp.templates.base.Template` or `module:Class` of one, which is imported where kernels are built and
            run. The id ends with a version: records refer to it.
        algorithm: that computes it, where the workload has several.
        features: (workload, knob values) -> columns [n] that say what a configuration means for the machine, positive.
        layers: how it serves the layers of a model; None where it does not.

    Raises:
        InputError: a part is missing, or another template has its place.
    """
    whose = f"template for {workload.op} on {target} by {algorithm}"
    if not schedules:
        raise InputError(f"{whose}: no schedule; name the class that gives the space its meaning")
    for name, schedule in schedules.items():
        if isinstance(schedule, str):
            _check_importable(schedule, whose)
        else:
            _check(name, schedule, layers is not None)
    entry = Entry(
        target=target,
        workload=workload,
        algorithm=algorithm,
        space=space,
        schedules=dict(schedules),
        features=features,
        layers=layers,
    )
    key = _key(target, workload.op, algorithm)
    there = _found(key)
    if there and _definition(there) != _definition(entry):
        raise InputError(f"{whose}: there is one already; choose another algorithm's name")
    _TEMPLATES.register(key, entry, space.__module__)


def entry_for(kind: str, workload: type[Workload], algorithm: str = "direct") -> Entry | None:
    """The template of an operator on a kind of target; None where there is none."""
    _load()
    return _found(_key(kind, workload.op, algorithm))


def algorithms(kind: str, workload: type[Workload]) -> list[str]:
    """The algorithms that have a template, `direct` first."""
    found = [entry.algorithm for entry in _all() if (entry.target, entry.workload.op) == (kind, workload.op)]
    return sorted(found, key=lambda algorithm: algorithm != "direct")


def entry_of(template: str) -> Entry | None:
    """What the template of a space was registered with; None for those of no operator, `tvm.plain.v1` and such."""
    return next((entry for entry in _all() if template in entry.schedules), None)


def template_for(space: ConfigSpace) -> Template:
    """The template of a space.

    Raises:
        InputError: this version has no such template, or its class lacks something.
    """
    return template_named(space.template)


def template_named(name: str) -> Template:
    """The template called as `ConfigSpace.template` says.

    Raises:
        InputError: this version has no such template, or its class lacks something.
    """
    entry = entry_of(name)
    schedule = entry.schedules[name] if entry else _SCHEDULES.get(name)
    if schedule is None:
        known = [*_SCHEDULES, *(known for entry in _all() for known in entry.schedules)]
        raise InputError(f"no template {name!r} in this version{nearest(name, known)}")
    return _instance(name, schedule, entry is not None and entry.layers is not None)


@cache
def _instance(name: str, schedule: str | type, for_layers: bool) -> Template:
    made = resolve(schedule, f"template {name!r}") if isinstance(schedule, str) else schedule
    _check(name, made, for_layers)
    template: Template = made()
    return template


def _key(kind: str, op: str, algorithm: str) -> str:
    return f"{kind}/{op}/{algorithm}"


def _found(key: str) -> Entry | None:
    return _TEMPLATES[key] if key in _TEMPLATES else None  # noqa: SIM401 - a registry is no dictionary


def _definition(entry: Entry) -> tuple[str, ...]:
    """What stays the same when the module that registers a template is run again."""
    return entry.space.__qualname__, *entry.schedules


def _all() -> list[Entry]:
    _load()
    return [_TEMPLATES[key] for key in _TEMPLATES.names()]


def _check(name: str, schedule: Any, for_layers: bool) -> None:
    """Whether a class has what builds, runs and layers will ask for."""
    wanted = (*_METHODS, *(_FOR_LAYERS if for_layers else ()))
    missing = [method for method in wanted if not callable(getattr(schedule, method, None))]
    if missing:
        raise InputError(f"template {name!r} lacks {', '.join(missing)}; see raydgp.templates.base")


@cache
def _load() -> None:
    """Has the templates registered that come with raydgp."""
    for package in _BUILT_IN:
        importlib.import_module(package)


def _check_importable(schedule: str, whose: str) -> None:
    """Whether the module of `module:Class` is there; it is not imported, for it may take TVM."""
    module, _, name = schedule.partition(":")
    try:
        found = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # no such package, or a module without a spec, such as a script
        found = module == "__main__"
    if not found or not name:
        raise InputError(f"{whose}: {schedule!r} is no module:Class that can be imported; mend the name")
