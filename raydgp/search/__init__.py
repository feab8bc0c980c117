"""Search strategies by name. They propose and learn; they measure nothing and do no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raydgp.errors import InputError, nearest
from raydgp.search import options as _options
from raydgp.search.autotvm import AutoTVM
from raydgp.search.bao import Bao
from raydgp.search.base import Strategy
from raydgp.search.bookkeeping import BookkeepingStrategy
from raydgp.search.bted import Bted
from raydgp.search.chameleon import Chameleon
from raydgp.search.dgp import Dgp
from raydgp.search.dgp_plus import DgpPlus
from raydgp.search.droplet import Droplet
from raydgp.search.genetic import Genetic
from raydgp.search.loop import Search
from raydgp.search.pretrained import PretrainedStrategy
from raydgp.search.simple import Grid, Random
from raydgp.space import ConfigSpace

__all__ = ["Search", "Strategy", "create", "names", "starts_from_model", "with_models"]

_CLASSES: tuple[type[BookkeepingStrategy], ...] = (
    Random,
    Grid,
    Genetic,
    AutoTVM,
    Bted,
    Bao,
    Chameleon,
    Droplet,
    Dgp,
    DgpPlus,
)
_STRATEGIES = {cls.name: cls for cls in _CLASSES}


def names() -> list[str]:
    """Names that `create` knows."""
    return list(_STRATEGIES)


def create(name: str, space: ConfigSpace, seed: int = 0, **options: Any) -> Strategy:
    """A strategy for one space.

    Args:
        name: one of `names()`.
        space: where to search.
        seed: of its random stream.
        options: keyword-only arguments of the strategy's class; `preset="small"` lays out those that suit a budget of
            about 64 measurements, and the other options go over them.

    Raises:
        InputError: unknown strategy, option or preset, or a value of the wrong type; names the nearest.
    """
    if name not in _STRATEGIES:
        raise InputError(f"unknown strategy {name!r}{nearest(name, _STRATEGIES)}")
    strategy = _STRATEGIES[name]
    return strategy(space, seed, **_options.checked(strategy, options))


def starts_from_model(name: str) -> bool:
    """Whether a strategy uses a pre-trained model where it has one."""
    return issubclass(_STRATEGIES.get(name, BookkeepingStrategy), PretrainedStrategy)


def with_models(name: str, options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The options, with a folder of pre-trained models for a strategy that starts from one and was given none.

    Without such a folder it starts cold.
    """
    if starts_from_model(name) and "artefact" not in options and folder.is_dir():
        return {**options, "artefact": folder.resolve()}
    return dict(options)
