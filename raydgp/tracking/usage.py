"""What the nodes of a run used, as MLflow's system metrics: `system/NODE/NAME`, as its own monitor calls them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from mlflow.entities import Metric

from raydgp.errors import MALFORMED

_NODE_CHARACTERS = 8  # of Ray's 56, which tell the nodes of a run apart


class UsageFollower:
    """Reads the file that `raydgp.cluster.node_usage` appends to."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset_bytes = path, 0
        self._looks: Counter[str] = Counter()

    def poll(self) -> list[Metric]:
        """Those of the complete lines that came since the last poll; steps count a node's looks, damaged lines none."""
        if not self._path.is_file():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset_bytes)
            lines = [line for line in file if line.endswith(b"\n")]
        self._offset_bytes += sum(map(len, lines))
        return [metric for line in lines for metric in self._metrics(line)]

    def _metrics(self, line: bytes) -> list[Metric]:
        try:
            look = json.loads(line)
            node, time_ms = str(look["node_id"])[:_NODE_CHARACTERS], round(1000 * look["time_unix_s"])
            used = {f"system/{node}/{name}": float(value) for name, value in look["used"].items()}
        except MALFORMED:
            return []
        self._looks[node] += 1
        return [Metric(name, value, time_ms, self._looks[node]) for name, value in used.items()]
