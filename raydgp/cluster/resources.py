"""Resources of runners as a user names them, `{"cpu": 1, "gpu": 1}`, and as Ray does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_RAY = {"cpu": ("CPU", "num_cpus"), "gpu": ("GPU", "num_gpus")}  # name -> of a node, of an actor's options


def fitting(resources: Mapping[str, float], node: Mapping[str, float]) -> int:
    """How many runners a node has room for."""
    return min(int(node.get(_RAY.get(name, (name,))[0], 0) / amount) for name, amount in resources.items())


def places(nodes: Mapping[str, Mapping[str, Any]], room: Mapping[str, int]) -> list[tuple[str, int]]:
    """Where runners on processors can be: node and place on it, from 0.

    Args:
        nodes: Ray's, by id.
        room: how many a node's first runner has said there is room for; one until then.
    """
    usable = [node_id for node_id, node in nodes.items() if node["Resources"].get("CPU", 0) >= 1]
    return [(node_id, place) for node_id in usable for place in range(room.get(node_id, 1))]


def ray_options(resources: Mapping[str, float]) -> dict[str, Any]:
    """Options of an actor that holds them."""
    known = {_RAY[name][1]: amount for name, amount in resources.items() if name in _RAY}
    custom = {name: amount for name, amount in resources.items() if name not in _RAY}
    return {"num_cpus": 0, **known, "resources": custom}
