"""Strategies of others: registered by a program, and of the plainest kind."""

import json
import subprocess
import sys

import numpy as np
import pytest

from raydgp import registry, search
from raydgp.errors import InputError


class Backwards(search.Strategy):
    """Of the ABC alone, without options, presets or bookkeeping: the whole space from its end."""

    name = "backwards"

    def __init__(self, space, seed=0):
        super().__init__(space, seed)
        self.seen = set()

    def ask(self, n):
        left = [i for i in range(self.space.size - 1, -1, -1) if i not in self.seen]
        left = [i for i in left if self.space.valid(np.array([i]))[0]][:n]
        self.seen.update(left)
        return np.array(left, np.int64)

    def tell(self, indices, gflops, valid, samples=None):
        self.seen.update(indices.tolist())

    def state(self):
        return {"seen": sorted(self.seen)}

    def restore(self, state):
        self.seen = set(state["seen"])


@pytest.fixture(autouse=True)
def _alone():
    with registry.isolated():
        yield


def test_a_registered_strategy_is_one_of_the_names(lattice):
    assert search.register(Backwards) is Backwards
    assert search.names()[-1] == "backwards"
    assert search.create("backwards", lattice, 0, preset="small").ask(3).tolist() == [419, 418, 417]
    assert not search.starts_from_model("backwards")
    assert search.describe("backwards") == {}
    with pytest.raises(InputError, match="did you mean 'backwards'"):
        search.create("backward", lattice)
    with pytest.raises(InputError, match="strategy backwards has no option 'step'"):
        search.create("backwards", lattice, step=2)


def test_it_is_searched_with_as_ours_are(lattice):
    search.register(Backwards)
    loop = search.Search(search.create("backwards", lattice), 10, 4)
    asked = loop.ask()
    assert asked.tolist() == [0, 419, 418, 417]
    loop.tell([search.Outcome(int(i), 1.0 + i) for i in asked])
    twin = search.Search(search.create("backwards", lattice), 10, 4)
    twin.restore(json.loads(json.dumps(loop.state())))
    assert twin.best == loop.best == (419, 420.0)
    assert twin.ask().tolist() == loop.ask().tolist() == [416, 415, 414, 413]


def test_what_is_no_strategy_is_refused():
    class Unnamed(Backwards):
        name = None  # type: ignore[assignment]

    class Unfinished(search.Strategy):
        name = "unfinished"

    for part, message in (
        (Unnamed, "has no name"),
        (Unfinished, "lacks ask, restore, state, tell"),
        (type("Other", (), {"name": "other"}), "no class derived from raydgp.search.Strategy"),
        (type("Genetic", (Backwards,), {"name": "genetic"}), "there already"),
    ):
        with pytest.raises(InputError, match=message):
            search.register(part)


def test_looking_names_up_loads_no_library_of_a_strategy():
    heavy = ("xgboost", "sklearn", "scipy", "torch", "pandas")
    used = "import sys; from raydgp import search; search.names(); search.create"
    script = f"{used}; print(*(set(sys.modules) & set({heavy})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
