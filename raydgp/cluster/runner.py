"""The runner actor: owns one device, so that its timings are undisturbed by other kernels."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import ray

from raydgp.cluster.backend import Backend, Executor
from raydgp.cluster.lines import Lines
from raydgp.errors import InputError
from raydgp.registry import adopt
from raydgp.run.supervisor import Result
from raydgp.sandbox.cpus import core_groups, own_cores
from raydgp.settings import MeasureSettings
from raydgp.templates.spaces import config_space
from raydgp.workloads import from_dict


class Runner:
    """Runs kernels one after the other. Crashes and hangs of kernels end the executor's child, not this actor.

    Args:
        target: name of it.
        parts: that the driver has registered, see `raydgp.registry.registered`.
        cores: that it is held to; all of the node's by default.
        place: which of the node's groups of so many cores is its own.
    """

    def __init__(
        self,
        target: str,
        settings: MeasureSettings,
        backend: Backend,
        parts: Mapping[str, Mapping[str, Any]],
        cores: int | None = None,
        place: int = 0,
    ) -> None:
        adopt(parts)
        self._target, self._settings, self._backend = target, settings, backend
        self._cores, self._place, self._places = cores, place, 1
        self._lines = Lines()

    @cached_property
    def _executor(self) -> Executor:
        if self._cores:
            groups = core_groups(self._cores)
            if not groups:
                have = len(own_cores())
                raise InputError(f"ray.cores_per_runner is {self._cores}, but a node has {have} cores; ask for no more")
            self._places = len(groups)
            os.sched_setaffinity(0, groups[self._place])  # of this thread, and so of the children that it starts
        return self._backend.executor(self._target, self._settings)

    def describe(self) -> dict[str, Any]:
        """The target, the device, the versions, the node it is on, and how many runners that has room for.

        Raises:
            InputError: no such device here, or fewer cores than threads.
        """
        return {
            "target": self._executor.target,  # made first: it finds the places
            "places": self._places,
            "device": self._executor.device,
            "versions": self._executor.versions,
            "node_id": ray.get_runtime_context().get_node_id(),
        }

    def run(self, workload: dict[str, Any], index: int, library: bytes) -> Result:
        """Checks and times one built configuration.

        Raises:
            NoReference: of the workload.
        """
        result = self._executor.run(config_space(from_dict(workload), self._executor.target), index, library)
        return replace(result, log=tuple(self._lines.drain()))
