"""Layers that a caller gives instead of a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from raydgp.errors import InputError
from raydgp.workloads import Task, Workload


def tasks_of(layers: Iterable[Any] | Mapping[str, Workload]) -> list[Task]:
    """The tasks of a list of workloads, or of tasks such as `zoo.tasks` gives, or of workloads by name.

    Equal workloads are one task, which is called as often as all of them.

    Raises:
        InputError: nothing in it, something else than a workload, or a name twice.
    """
    tasks: dict[Workload, Task] = {}
    for task in _named(layers):
        known = tasks.get(task.workload)
        tasks[task.workload] = replace(known, count=known.count + task.count) if known else task
    names = [task.name for task in tasks.values()]
    if not names:
        raise InputError("layers: give at least one workload, such as raydgp.Dense(n=1, k=512, m=1000)")
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"layers: two different workloads are called {twice[0]!r}; give each a name of its own")
    return list(tasks.values())


def name_of(tasks: Iterable[Task]) -> str:
    """What a run of these layers is called in place of a model: the same for the same layers."""
    text = json.dumps([(task.name, task.workload.to_dict(), task.count) for task in tasks], sort_keys=True)
    return f"layers-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _named(layers: Iterable[Any] | Mapping[str, Workload]) -> Iterator[Task]:
    if isinstance(layers, Mapping):
        layers = [Task(name, workload, 1) for name, workload in layers.items()]
    for place, layer in enumerate(layers):
        if isinstance(layer, Workload):
            layer = Task(f"layer{place}", layer, 1)
        if not isinstance(layer, Task) or not isinstance(layer.workload, Workload):
            raise InputError(f"layers: {layer!r} is no workload; give raydgp.Conv2d(...), raydgp.Dense(...) or others")
        yield layer
