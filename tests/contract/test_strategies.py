"""All of our strategies keep the contract, with settings that keep the suite fast and plans longer than a batch."""

from typing import Any

import pytest

from raydgp import search
from raydgp.testing import StrategyContract

FAST: dict[str, Any] = {
    "chains": 16,
    "iterations": 30,
    "rounds": 20,
    "pool": 60,
    "batches": 2,
    "episodes": 8,
    "steps": 20,
}
FAST |= {"epochs": 10, "explored": 500, "tolerance": 0.0}


class TestEveryStrategy(StrategyContract):
    @pytest.fixture(autouse=True, params=search.names())
    def _named(self, request):
        self.name = request.param

    def make(self, space, seed=0):
        known = search.describe(self.name)
        fast = {key: value for key, value in FAST.items() if key in known}
        return search.create(self.name, space, seed, preset="small", **fast)
