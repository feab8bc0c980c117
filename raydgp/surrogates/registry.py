"""Cost models by name: ours, those that a program registers, and those of installed packages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from raydgp.errors import InputError
from raydgp.registry import Registry
from raydgp.surrogates.base import CostModelSettings, Surrogate

CostModel = Callable[[CostModelSettings], Surrogate]
M = TypeVar("M", bound=CostModel)


def _check(name: str, part: Any) -> None:
    lacking = [method for method in ("fit", "predict") if not callable(getattr(part, method, None))]
    if lacking or not callable(part):
        raise InputError(
            f"cost model {name!r}: {part!r} is no class with fit and predict; see raydgp.surrogates.Surrogate"
        )


_SETTINGS = CostModelSettings()
_cost_models: Registry[CostModel] = Registry(
    "cost model", "raydgp.surrogates", {"boosted_trees": "raydgp.surrogates.boosted:BoostedTrees"}, _check
)


def register(cost_model: M) -> M:
    """Makes a `Surrogate` known by its class's `name`, as a value of the option `cost_model` of the strategies.

    May be used as a decorator. The class is called with `CostModelSettings`. Installed packages do the same without a
    call, by an entry point `name = "module:Class"` of `raydgp.surrogates`.

    Raises:
        InputError: it has no name, or no fit and predict, or another one has the name.
    """
    name = getattr(cost_model, "name", None)
    if not isinstance(name, str):
        raise InputError(f"{cost_model!r} has no name; give the class an attribute `name`")
    _cost_models.register(name, cost_model)
    return cost_model


def names() -> list[str]:
    """Names of the cost models."""
    return _cost_models.names()


def require(name: str) -> None:
    """Checks that there is a cost model of a name, without importing it.

    Raises:
        InputError: there is none; names the nearest.
    """
    _cost_models.require(name)


def named(name: str) -> CostModel:
    """The class of a cost model.

    Raises:
        InputError: there is none of that name, or it cannot be imported.
    """
    return _cost_models[name]


def create(name: str, settings: CostModelSettings = _SETTINGS) -> Surrogate:
    """A cost model that has learnt nothing yet.

    Raises:
        InputError: there is none of that name.
    """
    return named(name)(settings)
