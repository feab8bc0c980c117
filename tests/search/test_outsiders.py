"""A package of someone else's, installed beside ours: its strategy and its cost model are there by name."""

import json
from pathlib import Path

import pytest

from raydgp import data
from tests.support.processes import environment, python

MODULE = """
import numpy as np
from raydgp import search

class Downhill(search.BookkeepingStrategy):
    name = "downhill"

    def propose(self, n):
        return self.draw(n)

class Flat:
    name = "flat"

    def __init__(self, settings):
        pass

    def fit(self, features, y):
        pass

    def predict(self, features):
        return np.zeros(len(features))
"""
ENTRY_POINTS = """
[raydgp.strategies]
downhill = outsider:Downhill
[raydgp.surrogates]
flat = outsider:Flat
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a Python that has the package."""
    site = tmp_path_factory.mktemp("site")
    (site / "outsider.py").write_text(MODULE)
    info = site / "outsider-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outsider\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    ours = environment()
    return {**ours, "PYTHONPATH": f"{site}:{ours['PYTHONPATH']}"}


def test_created_by_name(installed: dict[str, str], tmp_path: Path) -> None:
    script = """
from raydgp import Conv2d, config_space, search
space = config_space(Conv2d(n=1, ci=16, h=8, w=8, co=16, kh=3, kw=3), "cuda")
print(search.names()[-1], len(search.create("downhill", space).ask(4)))
strategy = search.create("autotvm", space, preset="small", cost_model="flat")
for _ in range(3):
    picks = strategy.ask(8)
    strategy.tell(picks, picks + 1.0, picks >= 0)
print(len(strategy.told))
"""
    assert python("-c", script, env=installed, cwd=tmp_path).stdout.split() == ["downhill", "4", "24"]


def test_searched_with_in_tune(installed: dict[str, str], tmp_path: Path) -> None:
    script = """
from raydgp import Dense, config_space
from raydgp.cluster import RaydgpSearcher
searcher = RaydgpSearcher(config_space(Dense(n=1, k=64, m=64), "cuda"), strategy="downhill", trials=8, batch=4)
print(len(searcher.suggest("t")["indices"]))
"""
    assert python("-c", script, env=installed, cwd=tmp_path).stdout.split() == ["4"]


def test_compared_on_the_command_line(installed: dict[str, str], tmp_path: Path) -> None:
    (recorded,) = data.history(Path("znver4/resnet18-rb3-sc"))
    options = ["--strategies", "random,downhill", "--baseline", "random", "--seeds", "2", "--trials", "16", "--json"]
    done = python("-m", "raydgp", "compare", str(recorded), *options, env=installed, cwd=tmp_path)
    assert [row["strategy"] for row in json.loads(done.stdout)] == ["random", "downhill"]
