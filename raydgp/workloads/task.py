"""What is tuned by one search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from raydgp.workloads.base import Workload


@dataclass(frozen=True)
class Task:
    """A kernel of a network: its name, its workload and how often the network calls it. Unpacks in that order."""

    name: str
    workload: Workload
    count: int

    def __iter__(self) -> Iterator[Any]:
        return iter((self.name, self.workload, self.count))
