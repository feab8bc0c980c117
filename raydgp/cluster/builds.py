"""Builds as Ray tasks: each in a worker process, on the node where the kernel is to run."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raydgp.cluster.backend import Backend
from raydgp.run.builder import Built
from raydgp.targets import Target
from raydgp.templates.spaces import config_space
from raydgp.workloads import from_dict


@ray.remote(num_cpus=1, num_returns=2, max_retries=0)
def _build(
    backend: Backend, workload: dict[str, Any], index: int, target: Target, limits_s: list[float]
) -> tuple[Built, bytes]:
    """The outcome without the library, and the library, which the pool does not look at.

    The alarm ends this process when the build hangs although it has a supervisor. It is set here because only here is
    known when the build began: before, it may wait for a processor without any fault.

    Args:
        limits_s: of the build and of this process.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, limits_s[1])
    assert backend.build
    built = backend.build(config_space(from_dict(workload), target), index, target, limits_s[0])
    signal.setitimer(signal.ITIMER_REAL, 0)
    return replace(built, library=b""), built.library


def builder(node_id: str | None) -> Any:
    """The task that builds, on that node as long as it is there."""
    return _build.options(
        scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=True) if node_id else "DEFAULT"
    )
