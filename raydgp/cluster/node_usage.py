"""How busy the nodes of a cluster are while it measures: lines of JSON in a file of the run's folder."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raydgp.sandbox.usage import Usage

_INTERVAL_S = 10.0  # as often as MLflow looks at a machine
_ANSWER_S = 5.0


@contextmanager
def usage_logged(file: Path, interval_s: float = _INTERVAL_S) -> Iterator[None]:
    """Appends what the nodes use of their processors, memory and GPUs, until the context ends.

    A process on each node is asked, which sleeps in between. A node that does not answer is left out, and one that
    joins is taken in. Where the file cannot be written, nothing is said: the measurements matter more.
    """
    over = threading.Event()

    def watch() -> None:
        watchers: dict[str, Any] = {}
        while not over.wait(interval_s):
            with suppress(RayError, OSError):
                lines = _look(watchers)
                with file.open("a") as out:
                    out.writelines(lines)
        for actor in watchers.values():
            ray.kill(actor)

    watcher = threading.Thread(target=watch, name="watch-nodes", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _look(watchers: dict[str, Any]) -> list[str]:
    """A line for each node that answers; `watchers` are kept from look to look, by node."""
    alive = {str(node["NodeID"]) for node in ray.nodes() if node["Alive"]}
    for gone in watchers.keys() - alive:
        del watchers[gone]
    for node_id in alive - watchers.keys():
        actor: Any = ray.remote(Usage)
        there = NodeAffinitySchedulingStrategy(node_id, soft=False)
        watchers[node_id] = actor.options(num_cpus=0, scheduling_strategy=there).remote()
    asked = {node_id: actor.now.remote() for node_id, actor in watchers.items()}
    ray.wait(list(asked.values()), num_returns=len(asked), timeout=_ANSWER_S)
    lines = []
    for node_id, answer in asked.items():
        with suppress(RayError):
            used = ray.get(answer, timeout=0)
            lines.append(json.dumps({"time_unix_s": time.time(), "node_id": node_id, "used": used}) + "\n")
    return lines
