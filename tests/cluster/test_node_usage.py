"""What the nodes use while a run measures."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path

import pytest
import ray

from raydgp.cluster.node_usage import usage_logged
from tests.support import fakes


@pytest.mark.cluster
def test_every_node_is_looked_at_again_and_again_until_the_end(tmp_path: Path) -> None:
    file = tmp_path / "usage.jsonl"
    fakes.start_ray()
    try:
        with usage_logged(file, interval_s=0.1):
            until = time.monotonic() + 60
            while time.monotonic() < until and (not file.is_file() or file.read_text().count("\n") < 3):
                time.sleep(0.1)
        looks = [json.loads(line) for line in file.read_text().splitlines()]
        assert len(looks) >= 3
        assert {look["node_id"] for look in looks} == {node["NodeID"] for node in ray.nodes()}
        assert all(0 <= look["used"]["cpu_utilization_percentage"] <= 100 for look in looks)
        assert all(later["time_unix_s"] > look["time_unix_s"] for look, later in pairwise(looks))
        time.sleep(0.3)
        assert len(file.read_text().splitlines()) == len(looks)
    finally:
        ray.shutdown()


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    with usage_logged(tmp_path / "none" / "usage.jsonl", interval_s=0.01):
        time.sleep(0.05)
