"""Strategies by name: ours, those that a program registers, and those of installed packages.

A strategy's module is imported when it is first asked for: some of them need seconds for their libraries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from raydgp.errors import InputError
from raydgp.registry import Registry
from raydgp.search.base import Strategy
from raydgp.search.options import Options, checked
from raydgp.space import ConfigSpace

S = TypeVar("S", bound=type[Strategy])

_OURS = {
    "random": "raydgp.search.simple:Random",
    "grid": "raydgp.search.simple:Grid",
    "genetic": "raydgp.search.genetic:Genetic",
    "autotvm": "raydgp.search.autotvm:AutoTVM",
    "bted": "raydgp.search.bted:Bted",
    "bao": "raydgp.search.bao:Bao",
    "chameleon": "raydgp.search.chameleon:Chameleon",
    "droplet": "raydgp.search.droplet:Droplet",
    "lfbo": "raydgp.search.lfbo:Lfbo",
    "portfolio": "raydgp.search.portfolio:Portfolio",
    "dgp": "raydgp.search.dgp:Dgp",
    "dgp+": "raydgp.search.dgp_plus:DgpPlus",
}


def _check(name: str, part: Any) -> None:
    if not (isinstance(part, type) and issubclass(part, Strategy)):
        raise InputError(f"strategy {name!r}: {part!r} is no class derived from raydgp.search.Strategy")
    missing = sorted(getattr(part, "__abstractmethods__", ()))
    if missing:
        raise InputError(f"strategy {name!r}: {part.__name__} lacks {', '.join(missing)}; define them")


_strategies: Registry[type[Strategy]] = Registry("strategy", "raydgp.strategies", _OURS, _check)


def register(strategy: S) -> S:
    """Makes a class derived from `Strategy` known by its `name`; may be used as a decorator.

    Installed packages do the same without a call, by an entry point `name = "module:Class"` of `raydgp.strategies`.

    Raises:
        InputError: it has no name, an abstract method is missing, or another strategy has the name.
    """
    name = getattr(strategy, "name", None)
    if not isinstance(name, str):
        raise InputError(f"{strategy!r} has no name; give the class an attribute `name`")
    _strategies.register(name, strategy)
    return strategy


def names() -> list[str]:
    """Names that `create` knows."""
    return _strategies.names()


def named(name: str) -> type[Strategy]:
    """The class of a strategy.

    Raises:
        InputError: there is none of that name, or it cannot be imported.
    """
    return _strategies[name]


def create(name: str, space: ConfigSpace, seed: int = 0, **options: Any) -> Strategy:
    """A strategy for one space.

    Args:
        name: one of `names()`.
        space: where to search.
        seed: of its random stream.
        options: see `describe`; `preset="small"` lays out those that suit a budget of about 64 measurements, and the
            other options go over them.

    Raises:
        InputError: unknown strategy, option or preset, or a value of the wrong type; names the nearest.
    """
    strategy = named(name)
    told = checked(name, strategy.options_model, options)
    return strategy(space, seed) if strategy.options_model is Options else strategy(space, seed, told)


def describe(name: str) -> dict[str, dict[str, Any]]:
    """The JSON schema of each option of a strategy: its type and bounds, `default` and `description`.

    Raises:
        InputError: there is no such strategy.
    """
    properties: dict[str, dict[str, Any]] = named(name).options_model.model_json_schema().get("properties", {})
    return properties


def presets(name: str) -> dict[str, dict[str, Any]]:
    """The named sets of options of a strategy.

    Raises:
        InputError: there is no such strategy.
    """
    return {preset: dict(options) for preset, options in named(name).options_model.presets.items()}


def starts_from_model(name: str) -> bool:
    """Whether a strategy uses a pre-trained model where it has one.

    Raises:
        InputError: there is no such strategy.
    """
    return "artefact" in named(name).options_model.model_fields


def with_models(name: str, options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The options, with a folder of pre-trained models for a strategy that starts from one and was given none.

    Without such a folder it starts cold.
    """
    if starts_from_model(name) and "artefact" not in options and folder.is_dir():
        return {**options, "artefact": folder.resolve()}
    return dict(options)


def with_elsewhere(name: str, options: Mapping[str, Any], paths: Sequence[Path]) -> dict[str, Any]:
    """The options, with measurements of the same kernel on other devices for a strategy that was given none of them."""
    if paths and "elsewhere" in named(name).options_model.model_fields and "elsewhere" not in options:
        return {**options, "elsewhere": [path.resolve() for path in paths]}
    return dict(options)
