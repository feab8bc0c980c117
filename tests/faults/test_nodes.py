"""Nodes that die and join while a run goes on. All of them share one address, as on a machine with several raylets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster as Nodes

from raydgp.cluster import Cluster
from raydgp.records import Status, read
from raydgp.settings import TuneSettings
from raydgp.workloads import Conv2d, Task
from tests.support import fakes

pytestmark = [pytest.mark.cluster, pytest.mark.slow]  # Ray takes its time to believe that a node is gone

TASK = Task("conv", Conv2d(n=1, ci=16, h=8, w=8, co=16, kh=3, kw=3), 1)
TRIALS = 40


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    """A head that has no processors to measure with; nodes are added and killed by the test."""
    made: Any = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield made
    ray.shutdown()
    made.shutdown()


class Where:
    """Logs the node that each call is on and takes a while."""

    def __init__(self, log: fakes.Log, what: str, length_s: float) -> None:
        self._log, self._what, self._length_s = log, what, length_s

    def __call__(self, index: int) -> None:
        self._log.add(self._what, ray.get_runtime_context().get_node_id(), index)
        time.sleep(self._length_s)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_node_killed_while_it_builds_costs_its_batch_and_a_node_that_joins_is_used(
    nodes: Nodes, tmp_path: Path
) -> None:
    first, log = nodes.add_node(num_cpus=2), fakes.Log(tmp_path)
    journal = tmp_path / "journal.jsonl"
    settings = TuneSettings.model_validate(
        {"model": "resnet18", "strategy": "random", "trials": TRIALS, "batch": 8, "run": "nodes"}
        | {"ray": {"address": nodes.address}}
    )
    backend = fakes.backend(build=Where(log, "build", 0.1), run=Where(log, "run", 0.02))
    with Cluster(settings, journal, backend) as cluster, ThreadPoolExecutor(1) as thread:
        searching = thread.submit(cluster.tune, [TASK])
        wait_for(lambda: sum(line[0] == "build" for line in log.read()) > 12 or searching.done())
        nodes.remove_node(first, allow_graceful=False)  # with -9
        second = nodes.add_node(num_cpus=2)
        (outcome,) = searching.result(timeout=200)
    records = list(read(journal))
    assert (outcome.fault, outcome.measured) == (None, TRIALS)
    assert len({record.measurement.index for record in records}) == TRIALS
    lost = [record for record in records if record.measurement.status is not Status.OK]
    assert len(lost) <= 2  # builds that died with the node
    ran = [line[1] for line in log.read() if line[0] == "run"]
    assert set(ran) == {first.node_id, second.node_id}
