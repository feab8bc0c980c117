"""The runner actor: owns one device, so that its timings are undisturbed by other kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import ray

from raydgp.cluster.backend import Backend, Executor
from raydgp.cluster.lines import Lines
from raydgp.registry import adopt
from raydgp.run.supervisor import Result
from raydgp.settings import MeasureSettings
from raydgp.templates.spaces import config_space
from raydgp.workloads import from_dict


class Runner:
    """Runs kernels one after the other. Crashes and hangs of kernels end the executor's child, not this actor.

    Args:
        target: name of it.
        parts: that the driver has registered, see `raydgp.registry.registered`.
    """

    def __init__(
        self, target: str, settings: MeasureSettings, backend: Backend, parts: Mapping[str, Mapping[str, Any]]
    ) -> None:
        adopt(parts)
        self._target, self._settings, self._backend = target, settings, backend
        self._lines = Lines()

    @cached_property
    def _executor(self) -> Executor:
        return self._backend.executor(self._target, self._settings)

    def describe(self) -> dict[str, Any]:
        """The target, the device, the versions, and the node it is on.

        Raises:
            InputError: no such device here, or fewer cores than threads.
        """
        return {
            "target": self._executor.target,
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
