"""Resources of runners as a user names them, `{"cpu": 1, "gpu": 1}`, and as Ray does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_RAY = {"cpu": ("CPU", "num_cpus"), "gpu": ("GPU", "num_gpus")}  # name -> of a node, of an actor's options


def fitting(resources: Mapping[str, float], node: Mapping[str, float]) -> int:
    """How many runners a node has room for."""
    return min(int(node.get(_RAY.get(name, (name,))[0], 0) / amount) for name, amount in resources.items())


def ray_options(resources: Mapping[str, float]) -> dict[str, Any]:
    """Options of an actor that holds them."""
    known = {_RAY[name][1]: amount for name, amount in resources.items() if name in _RAY}
    custom = {name: amount for name, amount in resources.items() if name not in _RAY}
    return {"num_cpus": 0, **known, "resources": custom}
